import { describe, expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import { MetricLines } from "../../../src/core/metric-lines.ts";

const read = (output: string | Uint8Array, texts: Record<string, string> = {}) => {
  const lines = new MetricLines(texts);
  const bytes = typeof output === "string" ? Buffer.from(output) : output;
  return [...lines.read(bytes), ...lines.end()];
};
/** What one line holds, in short: `loss=1@3`. */
const show = (output: string, texts: Record<string, string> = {}) =>
  read(`${output}\n`, texts)
    .map(({ name, value, step }) => `${name}=${value}${step === undefined ? "" : `@${step}`}`)
    .join(" ");

describe("METRIC lines", () => {
  test.each([
    ["METRIC loss=1.5", "loss=1.5"],
    ["METRIC loss=1.5 step=3", "loss=1.5@3"],
    ["  METRIC loss=1.5\tstep=3  ", "loss=1.5@3"],
    ["METRIC loss=1.5 acc=0.9 step=3", "loss=1.5@3 acc=0.9@3"],
    ["METRIC step=3 loss=1.5", "loss=1.5@3"],
    ["METRIC step=3", "step=3"],
    ["METRIC loss = 1.5, acc = .9; step = 1e3", "loss=1.5@1000 acc=0.9@1000"],
    ["METRIC loss=1.5 best=yes", "loss=1.5"],
    ["METRIC loss=1.5\r", "loss=1.5"],
    ["METRIC loss=1.5\r 10%", "loss=1.5"],
    ["\r 50%|=====     |\r                \rMETRIC loss=1.5 step=3", "loss=1.5@3"],
    ["\x1b[A\x1b[2KMETRIC loss=1.5\r\r", "loss=1.5"],
    ["METRIC loss=9\rMETRIC loss=1.5\rMETRIC loss=low", "loss=1.5"],
    ["METRIC val/loss.total-1:μ=2", "val/loss.total-1:μ=2"],
    ["METRIC __proto__=1 constructor=2 toString=3", "__proto__=1 constructor=2 toString=3"],
    ["\x1b[1;32mMETRIC\x1b[0m loss=\x1b[31m1.5\x1b[0m", "loss=1.5"],
    ["\x1b[2K\x1b[1GMETRIC loss=1.5", "loss=1.5"],
    ["\x1b]8;;http://x\x07METRIC loss=1.5\x1b]8;;\x07", "loss=1.5"],
  ])("reads %j", (line, expected) => {
    expect(show(line)).toBe(expected);
  });

  test.each([
    ["metric loss=1"],
    ["METRICS loss=1"],
    ["METRIC"],
    ["METRIC loss"],
    ["METRIC loss=high"],
    ["METRIC loss="],
    ["METRIC =1"],
    ["METRIC loss=1.2.3"],
    ["METRIC acc=93%"],
    ["METRIC loss=12ms"],
    ["METRIC best loss=1"],
    ['METRIC "loss"=1'],
    ["METRIC loss=1 step=soon"],
    ["METRIC loss=1 step=nan"],
    ["METRIC loss=1 step=1 acc=2 step=2"],
    [`METRIC ${"n".repeat(65)}=1`],
    ["INFO METRIC loss=1"],
    ["50%|=====     |METRIC loss=1"],
  ])("does not read %j", (line) => {
    expect(show(line)).toBe("");
  });

  test("counts the lines that it could not read, and quotes the first", () => {
    const lines = new MetricLines();
    lines.read(Buffer.from("METRIC acc=93%\nMETRIC loss=1\n 9%\rMETRIC loss=low\n 9%METRIC loss=1\n"));
    expect(lines.unreadable).toEqual({ first: "METRIC acc=93%", count: 2 });
    expect(lines.misplaced.firstOf("loss")).toBe(" 9%METRIC loss=1");
  });
});

describe("numbers", () => {
  test.each([
    ["0", 0],
    ["-0.5", -0.5],
    ["+.5", 0.5],
    ["7.", 7],
    ["1e-3", 0.001],
    ["-2.5E+10", -2.5e10],
    ["1.5D+03", 1500],
    ["12,345.6", 12345.6],
    ["1,234,567", 1234567],
    ["\u22121.5", -1.5],
    ["\u22121.5e\u22123", -0.0015],
    ["2.E\u221210", 2e-10],
    ["nan", "NaN"],
    ["NaN", "NaN"],
    ["-nan(ind)", "NaN"],
    ["inf", "Infinity"],
    ["+INF", "Infinity"],
    ["-Infinity", "-Infinity"],
    ["1e999", "Infinity"],
    ["-1e999", "-Infinity"],
    ["1e-999", 0],
  ])("reads %j", (text, value) => {
    expect(read(`METRIC x=${text}\n`)).toEqual([{ name: "x", value: value as number }]);
    expect(read(`x: ${text}\n`, { x: "x:" })).toEqual([{ name: "x", value: value as number }]);
  });

  test.each([
    "nano",
    "info",
    "infinite",
    "1_000",
    "0x1F",
    "12:30",
    "2026-01-02",
    "0,523",
    "12,345",
    "1.#INF",
    "--1",
    ".",
  ])("does not take %j for a number", (text) => {
    expect(show(`METRIC x=${text}`)).toBe("");
    expect(show(`x: ${text}`, { x: "x:" })).toBe("");
  });

  test("reads every number as JavaScript and Python print it", () => {
    fc.assert(
      fc.property(fc.double(), (value) => {
        const [found] = read(`METRIC x=${value}\n`);
        expect(Number(found?.value)).toBe(value === 0 ? 0 : value);
      }),
    );
  });
});

describe("numbers after a text", () => {
  test.each([
    ["epoch 3 loss: 0.25 acc: 0.9", "loss: ", 0.25],
    ["loss:0.25", "loss: ", 0.25],
    ["loss = 0.25", "loss", 0.25],
    ["|     |none  |     0|acc_norm|↑  |0.25|±  |0.01|", "acc_norm", 0.25],
    ["FID (↓): 0.25", "FID", 0.25],
    ["loss → 0.25", "loss", 0.25],
    ["'loss': 0.25}", "loss", 0.25],
    ["loss -> 0.25", "loss", 0.25],
    ["loss - -0.25", "loss", -0.25],
    ["│         loss         │         0.25         │", "loss", 0.25],
    ["┃ loss ┃ 0.25 ┃", "loss", 0.25],
    ["| loss | 0.25 |", "loss", 0.25],
    ["val_loss: 3 - loss: 0.25", "loss", 0.25],
    ["val-loss: 3 - loss: 0.25", "loss", 0.25],
    ["loss_2d: 3 | loss2: 4 | loss: 0.25", "loss", 0.25],
    ["train/loss=0.25", "loss=", 0.25],
    ["lossless; loss of none; loss: 0.25 loss: 9", "loss", 0.25],
    ["step:100/1000 time:12.5ms", "time:", 12.5],
    ["step:100/1000 time:12.5ms", "step:", 100],
    ["Accuracy: 71.59% (9332/13036)", "Accuracy:", 71.59],
    ["epoch12", "epoch", 12],
    ["result,0.5,0.7", "result,", 0.5],
    ["Точность: 0.25", "Точность", 0.25],
    ["loss: 0.25.", "loss:", 0.25],
    ["loss: 9\rloss: 0.25\r", "loss: ", 0.25],
    ["loss: 0.25\r          \r", "loss: ", 0.25],
    ["\x1b[31mlo\x1b[0mss: \x1b[1m0.25\x1b[0m", "loss: ", 0.25],
    ["METRIC_loss: 0.25", "METRIC_loss: ", 0.25],
  ])("in %j after %j", (line, text, value) => {
    expect(read(`${line}\n`, { m: text })).toEqual([{ name: "m", value }]);
  });

  test.each([
    ["loss: none", "loss:"],
    ["val_loss: 1", "loss:"],
    ["loss decreased in epoch 5", "loss"],
    ["loss:\n0.25", "loss:"],
    ["anything 1", ""],
    ["anything 1", "  "],
  ])("not in %j after %j", (line, text) => {
    expect(show(line, { m: text })).toBe("");
  });

  test("the first number behind the text is meant, also where it cannot be read", () => {
    expect(show("x: 7,234 (mean x: 7100.5)", { x: "x:" })).toBe("");
    expect(show("x: 5\rx: 7,234", { x: "x:" })).toBe("");
  });

  test("a METRIC line counts as such alone, so that no number counts twice", () => {
    expect(show("METRIC loss=1 step=2", { loss: "loss=" })).toBe("loss=1@2");
    expect(show("METRIC acc=93%", { acc: "acc=" })).toBe("acc=93");
  });

  test("a METRIC line that is drawn over a bar leaves the other numbers of the bar", () => {
    expect(show("50% loss=0.4 acc=0.9\r    \rMETRIC loss=0.5", { loss: "loss=", acc: "acc=" })).toBe(
      "acc=0.9 loss=0.5",
    );
  });

  test("names and texts of any kind work", () => {
    const texts = JSON.parse('{"__proto__": "a:", "constructor": "b:"}');
    expect(show("a: 1 b: 2", texts)).toBe("__proto__=1 constructor=2");
  });
});

describe("chunks and long lines", () => {
  test("the same is found however the output is cut", () => {
    const output = Buffer.from(
      "é METRIC x=1\nMETRIC é=1.25 step=10\r\n\x1b[32mloss: 0.5\x1b[0m\rloss: 0.25\n\nMETRIC a=1 b=2\n–loss: 3e-5",
    );
    const whole = read(output, { loss: "loss:" });
    expect(whole).toHaveLength(5);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: output.length }), { maxLength: 20 }), (cuts) => {
        const lines = new MetricLines({ loss: "loss:" });
        const places = [0, ...cuts.sort((a, b) => a - b), output.length];
        const found = places.slice(1).flatMap((end, i) => lines.read(output.subarray(places[i], end)));
        expect([...found, ...lines.end()]).toEqual(whole);
      }),
    );
  });

  test("of an output that was cut off the last state may lack digits, and those before it count", () => {
    const texts = { loss: "loss:" };
    const cutOff = (output: string) => {
      const lines = new MetricLines(texts);
      return [...lines.read(Buffer.from(output)), ...lines.end(false)]
        .map(({ name, value }) => `${name}=${value}`)
        .join();
    };
    expect(cutOff("\rloss: 3\rloss: 0.25\rloss: 0.1")).toBe("loss=0.25");
    expect(cutOff("METRIC acc=0.5\r 50%")).toBe("acc=0.5");
    expect(cutOff("METRIC acc=0.5")).toBe("");
    expect(show(`${`\r${"#".repeat(9_000)}`.repeat(3)}\rMETRIC loss=1.5`)).toBe("loss=1.5");
    expect(cutOff(`${"\rloss: 0.25 |####|".repeat(5_000)}\rloss: 0.1`)).toBe("loss=0.25");
  });

  test("of a line without an end the beginning and the end are read", () => {
    const lines = new MetricLines({ first: "first:", last: "last:", middle: "middle:" });
    const found = [
      ...lines.read(Buffer.from("first: 1 ")),
      ...Array.from({ length: 64 }, () => lines.read(Buffer.alloc(64 * 1024, "x"))).flat(),
      ...lines.read(Buffer.from(" middle: 2 ")),
      ...Array.from({ length: 5000 }, () => lines.read(Buffer.from("abcd "))).flat(),
      ...lines.read(Buffer.from("last: 3\nMETRIC loss=4\n")),
    ];
    expect(found).toEqual([
      { name: "first", value: 1 },
      { name: "last", value: 3 },
      { name: "loss", value: 4 },
    ]);
  });

  test("a number that may go on past the cut does not count", () => {
    const cutInNumber = `${"x ".repeat(4093)}m: 1`;
    expect(cutInNumber).toHaveLength(8190);
    expect(show(`${cutInNumber}2345${" y".repeat(20_000)}`, { m: "m:" })).toBe("");
    expect(show(`METRIC a=1 ${"b ".repeat(20_000)}`)).toBe("");
  });

  test("millions of short lines without a metric are not looked at one by one", () => {
    const texts = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`m${i}`, `metric ${i}: `]));
    const decoded = spyOn(Buffer.prototype, "toString");
    try {
      for (const line of ["y\n", "é\n", "\n"]) {
        const lines = new MetricLines(texts);
        const chunk = Buffer.from(line.repeat(20_000));
        decoded.mockClear();
        lines.read(chunk);
        expect(decoded.mock.calls.length).toBeLessThan(100);
        expect(lines.read(Buffer.concat([chunk, Buffer.from("METRIC a=1\nmetric 7: 2\n"), chunk]))).toEqual([
          { name: "a", value: 1 },
          { name: "m7", value: 2 },
        ]);
      }
    } finally {
      decoded.mockRestore();
    }
  });

  test.each([
    ["\x1b[1mMET\x1b[0mRIC a=1", "a=1"],
    ["MET\u200bRIC a=1", "a=1"],
    ["l\x1b[1moss: 1", "loss=1"],
    ["Α'Σ: 1", "sigma=1"],
  ])("%j is found among other lines, wherever a chunk ends in it", (line, expected) => {
    const others = "é some other line\n".repeat(1000);
    const output = Buffer.from(`${others}${line}\n${others}`);
    const start = Buffer.byteLength(others);
    for (let cut = start; cut <= start + Buffer.byteLength(line) + 1; cut++) {
      const lines = new MetricLines({ loss: "loss: ", sigma: "Σ: " });
      const found = [...lines.read(output.subarray(0, cut)), ...lines.read(output.subarray(cut))];
      expect(found.map(({ name, value }) => `${name}=${value}`).join(" ")).toBe(expected);
    }
  });

  test("a text in other letters is noted among other lines, and METRIC in small letters too", () => {
    const others = "some other line\n".repeat(1000);
    const lines = new MetricLines({ loss: "Loss: ", sigma: "ΣΑΣ=" });
    expect(lines.read(Buffer.from(`${others}loSS: 1\n${others}metric acc=1\nσας=1\n${others}`))).toEqual([]);
    expect([...lines.inOtherCase]).toEqual([
      ["loss", "loSS: 1"],
      ["sigma", "σας=1"],
    ]);
    expect(lines.misplaced.lost(new Set())).toEqual({ first: "metric acc=1", count: 1 });
  });
});
