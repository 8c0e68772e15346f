import { describe, expect, test } from "bun:test";
import { MeasuredValue } from "../../../src/core/measured-value.ts";
import { MetricLines } from "../../../src/core/metric-lines.ts";
import type { MetricValue } from "../../../src/core/run-task.ts";

const ESC = "\x1b";
const TEXTS = { loss: "loss:" };

const read = (output: string, texts: Readonly<Record<string, string>> = {}) => {
  const lines = new MetricLines(texts);
  return [...lines.read(Buffer.from(output)), ...lines.end()].map(({ name, value }) => `${name}=${value}`).join(" ");
};

/** What leads back to the beginning of a line, or erases it. */
const REDRAWS: string[] = [
  ...[
    "2K",
    "1K",
    "1G",
    "0G",
    "G",
    "80D",
    "D",
    "1A",
    "A",
    "1B",
    "E",
    "1F",
    "u",
    "1;1H",
    "H",
    "2J",
    "1;1f",
    "2K\x1b[1G",
  ].map((code) => `${ESC}[${code}`),
  ...[`${ESC}8`, `${ESC}M`, `${ESC}E`, "\x9b1G", "\x8d", "\b\b\b\b\b\b\b\b", `${ESC}[0m${ESC}[1G${ESC}[32m`, "\r"],
];

describe.each(REDRAWS)("a line that is drawn anew by %j", (redraw) => {
  test("has the number of its last state, and none that was never printed", () => {
    expect(read(`1/5 loss: 0.9${redraw}5/5 loss: 0.5\n`, TEXTS)).toBe("loss=0.5");
    expect(read(`1 of 5 loss: 0.9${redraw}5 of 5\n`, TEXTS)).toBe("loss=0.9");
  });

  test("is a METRIC line as it was last", () => {
    expect(read(`METRIC loss=0.9${redraw}METRIC loss=0.5\n`)).toBe("loss=0.5");
    expect(read(` 50%${redraw}METRIC loss=0.5\n`)).toBe("loss=0.5");
    expect(read(`METRIC loss=0.5${redraw} 50%\n`)).toBe("loss=0.5");
  });

  test("measures its last number", () => {
    expect(measure(`1/5 loss: 0.9${redraw}5/5 loss: 0.5\n`)).toBe(0.5);
  });
});

describe("codes that draw nothing anew", () => {
  test.each([
    [`${ESC}[31mlo${ESC}[0mss:${ESC}[1m ${ESC}[m0.5`, "loss=0.5"],
    [`${ESC}[01;31m${ESC}[Kloss:${ESC}[m${ESC}[K 0.5${ESC}[0K`, "loss=0.5"],
    [`${ESC}[?25lloss: 0.5${ESC}[?25h`, "loss=0.5"],
    [`${ESC}(Bloss: ${ESC}(B0.5`, "loss=0.5"],
    [`loss: ${ESC}]8;;http://x\x070.5${ESC}]8;;\x07`, "loss=0.5"],
    [`loss:${ESC}[5C0.5${ESC}[3C7`, "loss=0.5"],
    [`${ESC}[2K${ESC}[1Gloss: 0.5`, "loss=0.5"],
  ])("in %j", (line, expected) => {
    expect(read(`${line}\n`, TEXTS)).toBe(expected);
  });

  test("nor do those at the beginning of a line, where there is nothing yet", () => {
    for (const start of [`${ESC}[2K${ESC}[1G`, `${ESC}[0m${ESC}[A${ESC}[0m`, "\b\b"])
      expect(read(`${start}METRIC loss=0.5\n`)).toBe("loss=0.5");
  });
});

test.each([`loss: 0 ${ESC}[`, `loss: 0${ESC}`, `loss: 0${ESC}]`, `loss: 0 x${ESC}[5C`, "loss: 0 "])(
  "what %j, left open by a job, makes of a benchmark's line is not the job's number",
  (open) => {
    for (const text of ["loss:", "Accuracy:", "Gain:", "7 loss:"]) {
      const left = open.replace("loss:", text);
      expect(measure(`${left}${text} 4\n`, text)).not.toBe(0);
      expect(measure(`${left}${text}${ESC}[1m 4\n`, text)).not.toBe(0);
      expect(measure(`${left}${text}${ESC}[3C4\n`, text)).not.toBe(0);
    }
  },
);

function measure(output: string, text = "loss:"): MetricValue | string {
  const value = new MeasuredValue("loss", { loss: text });
  value.read(Buffer.from(output));
  const found = value.end();
  return found.kind === "value" ? found.value : found.kind;
}

test("hostile lines take time in proportion to their length", () => {
  const texts = { a: "m", b: "1", c: ":", d: "mm", e: "METRIC x" };
  const lines = [
    ":",
    "m",
    "1",
    "m:",
    "1.2.3:",
    "METRIC ",
    "\r",
    "m: \r",
    "\x1b]",
    "\x1b[0;",
    "\u200b",
    "step=",
    "\rMETRIC x=1",
    "m: 1,234 K",
    "m: 1mmmm",
    "\u001b]m\u009d",
    "\b",
    "m: 1\b",
    "\x1b[G",
    "1\x1b[2K",
    "\x1b[0K\x1b[C",
  ];
  for (const piece of lines) {
    const small = cpuTime(piece, 20, texts);
    const large = cpuTime(piece, 200, texts);
    expect({ piece, isLinear: large < 50 * Math.max(small, 2_000) }).toEqual({ piece, isLinear: true });
  }
});

/** Microseconds of this process for such lines of 8 kB, every second one ended by a line feed. */
function cpuTime(piece: string, lines: number, texts: Record<string, string>): number {
  const line = Buffer.from(piece.repeat(Math.ceil(8000 / piece.length)));
  const reader = new MetricLines(texts);
  const before = process.cpuUsage();
  for (let i = 0; i < lines; i++) {
    reader.read(line);
    if (i % 2 === 0) reader.read(Buffer.from("\n"));
  }
  reader.end();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
