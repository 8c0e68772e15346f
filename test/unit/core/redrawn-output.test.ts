import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { TEST_LIMIT_MS } from "../../../.ci/bun-test.mjs";
import { createOutputWindow } from "../../../src/core/output-window.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const ESC = "\x1b";

function shown(output: string | Uint8Array, pieces: readonly number[] = []): string {
  const bytes = typeof output === "string" ? encode(output) : output;
  const window = createOutputWindow();
  let at = 0;
  for (const size of pieces) {
    window.push(bytes.subarray(at, at + size));
    at += size;
  }
  window.push(bytes.subarray(at));
  return window.render(null).text;
}

const percent = (from: number, to: number, each: (n: number) => string) =>
  Array.from({ length: to - from + 1 }, (_, i) => each(from + i)).join("");

const CASES: readonly (readonly [string, string, string])[] = [
  ["two thousand redraws of a bar", `a\n${percent(1, 2000, (n) => `\r${n}/2000 [#####] it/s`)}\nb\n`, "a\n2000/2000 [#####] it/s\nb\n"],
  ["CRLF as a line end", "a\r\nb\r\n\r\nc", "a\nb\n\nc"],
  ["a bar that ends with CR", " 1%\r 50%\r100%\r\ndone\r\n", "100%\ndone\n"],
  ["a line erased to its end", `x ${ESC}[31m1%\r${ESC}[Kready\n`, "ready\n"],
  ["a line erased whole", `working…\r${ESC}[2Kok\n`, "ok\n"],
  ["a line erased by spaces", "downloading 17 of 20\r                    \rdone\n", "done\n"],
  ["a shorter last state", "downloading 100%\rdone\n", "done\n"],
  ["a coloured last state", `downloading 100%\r${ESC}[32md${ESC}[0mone\n`, "done\n"],
  ["a spinner before a text that stays", "| working\r/\r-\r\\\n", "\\ working\n"],
  ["a counter with backspaces", "at  1%\b\b\b 50%\b\b\b\b100%\n", "at 100%\n"],
  ["a spinner of backspaces", "wait |\b/\b-\b\\\b \bdone\n", "wait done\n"],
  ["a bar of other characters", " 10%|█         |\r 50%|█████     |\r100%|██████████|\n", "100%|██████████|\n"],
  ["several bars at once", `a 1%\nb 1%\n${ESC}[2A${ESC}[2Ka 9%\n${ESC}[2Kb 8%\n${ESC}[2A\ra done\n\rb done\n`, "a done\nb done\n"],
  ["bars drawn with the cursor in the last one", `one:  5%\ntwo:  0%${ESC}[A\rone: 80%\n\rtwo: 70%\n`, "one: 80%\ntwo: 70%\n"],
  ["lines of docker pull", `a: Pulling\nb: Pulling\n${ESC}[2A${ESC}[2K\ra: Complete\r${ESC}[2B${ESC}[1A${ESC}[2K\rb: Complete\r${ESC}[1B`, "a: Complete\nb: Complete\n"],
  ["the status line of apt", `Get:1 x\n${ESC}7${ESC}[0;23r${ESC}8${ESC}[1A${ESC}7${ESC}[24;0fProgress: [ 50%]${ESC}8\nSetting up y\n`, "Get:1 x\nSetting up y\n"],
  ["a screen cleared again and again", `before\n${ESC}[2J${ESC}[Hat 1\nx\n${ESC}[2J${ESC}[Hat 2\n`, "before\nat 2\n"],
  ["an editor's screen", `$ vi\n${ESC}[?1049h${ESC}[1;1Hfile~\n~\n${ESC}[?1049lwritten\n`, "$ vi\nwritten\n"],
  ["a column by number", `name${ESC}[10Gvalue\n`, "name     value\n"],
  ["text set at the right", `check\r${ESC}[12C[ OK ]\n`, "check       [ OK ]\n"],
  ["colours", `${ESC}[1;32mok${ESC}[0m ${ESC}[38;2;1;2;3mrgb${ESC}[m${ESC}(B\n`, "ok rgb\n"],
  ["a link", `see ${ESC}]8;;https://a.example/${ESC}\\here${ESC}]8;;${ESC}\\ and ${ESC}]8;;x\x07there${ESC}]8;;\x07\n`, "see here and there\n"],
  ["a title", `${ESC}]0;make\x07built\n`, "built\n"],
  ["a device control string", `${ESC}Pq#0;2;0;0;0#0~~@@${ESC}\\after\n`, "after\n"],
  ["control characters beyond ASCII", "\u009b31mred\u009b0m \u009d0;title\u009cx\u0085\n", "red x\n"],
  ["bells, NUL and DEL", "a\x07b\0c\x7f\n", "abc\n"],
  ["a string that does not end on its line", `${ESC}]0;not hidden\nb\n`, "0;not hidden\nb\n"],
  ["a sequence cut by the end", `a${ESC}[3`, "a"],
  ["tabs and other text as they are", "a\tb é 日本 😀  \n\n  c", "a\tb é 日本 😀  \n\n  c"],
  ["a mode that hides the cursor", `${ESC}[?25lrun${ESC}[?25h\n`, "run\n"],
]; // biome-ignore format: a table

describe("output shows", () => {
  for (const [name, output, expected] of CASES)
    test(`${name}, however it is cut into pieces`, () => {
      expect(shown(output)).toBe(expected);
      fc.assert(
        fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 40 }), (pieces) => {
          expect(shown(output, pieces)).toBe(expected);
        }),
        { numRuns: 30 },
      );
      expect(shown(output, Array(5_000).fill(1))).toBe(expected);
    });

  test("8-bit control characters of no UTF-8 as such, and letters of other encodings as unreadable", () => {
    expect(shown(bytesOf("\x9b31mred\x9b0m\n"))).toBe("red\n");
    expect(shown(bytesOf("\x9d0;title\x9cx\n"))).toBe("x\n");
    expect(shown(bytesOf("caf\xe9 \x9eena\n"))).toBe("caf� ena\n");
    expect(shown(encode("Ûber Ü ɛ\n"), [1, 1, 1, 1, 1, 1, 1, 1])).toBe("Ûber Ü ɛ\n");
  });

  test("any text without control characters unchanged", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", maxLength: 200 }),
        fc.array(fc.integer({ min: 1, max: 9 })),
        (text, pieces) => {
          expect(shown(text, pieces)).toBe(text);
        },
      ),
    );
  });

  test("the same, whatever the codes and the pieces", () => {
    const code = fc.constantFrom(..."\r\n\b\tab é".split(""), `${ESC}[A`, `${ESC}[2K`, `${ESC}[K`, `${ESC}[3C`, `${ESC}[H`, `${ESC}[J`, `${ESC}7`, `${ESC}8`, `${ESC}[2J`, `${ESC}[1m`, ESC, "\u009b", `${ESC}]0;`, "\x07"); // biome-ignore format: a list
    fc.assert(
      fc.property(
        fc.array(code, { maxLength: 60 }),
        fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 30 }),
        (codes, pieces) => {
          const output = codes.join("");
          const text = shown(output, pieces);
          expect(text).toBe(shown(output));
          // biome-ignore lint/suspicious/noControlCharactersInRegex: none must be left
          expect(text).not.toMatch(/[\0-\x08\x0b-\x1f\x7f-\x9f]/);
        },
      ),
    );
  });
});

describe("output taken bit by bit", () => {
  const open = () => {
    const window = createOutputWindow();
    return (output: string) => {
      window.push(encode(output));
      return window.take(null).text;
    };
  };

  test("shows a bar's state of the moment each time, and nothing when it is the same", () => {
    const take = open();
    expect(take("start\n 10%")).toBe("start\n 10%");
    expect(take("\r 20%\r 30%")).toBe(" 30%");
    expect(take("\r 30%")).toBe("");
    expect(take("\r100%\nend\n")).toBe("100%\nend\n");
    expect(take("")).toBe("");
  });

  test("continues a line where it was, also after a sequence cut in half", () => {
    const take = open();
    expect(take("one ")).toBe("one ");
    expect(take(`two${ESC}[3`)).toBe("two");
    expect(take("1m three\nfour\n")).toBe(" three\nfour\n");
  });

  test("shows only the bars that have moved", () => {
    const take = open();
    expect(take("a 1%\nb 1%\n")).toBe("a 1%\nb 1%\n");
    expect(take(`${ESC}[1A\rb 2%\n`)).toBe("b 2%\n");
    expect(take(`${ESC}[2A\ra 3%\n${ESC}[1B`)).toBe("a 3%\n");
  });
});

describe("hostile output costs little", () => {
  for (const [name, piece] of [
    ["one endless line", "x".repeat(65_536)],
    ["redraws", "\r 50%|█████     | 5/10".repeat(2_800)],
    ["cursor moves", `${ESC}[3A${ESC}[2Kone\n${ESC}[2Ktwo\n`.repeat(2_700)],
    ["an endless title", `${ESC}]0;${"a".repeat(65_000)}`],
    ["far rows", `${ESC}[9999;9999Hx${ESC}[1;1H${ESC}[J`.repeat(2_300)],
    ["a long row erased and overwritten", `${"é".repeat(1_900)}${`${ESC}[1K\b`.repeat(12_000)}`],
    ["save and restore", `${ESC}7${ESC}[5;5Hx${ESC}8${ESC}8`.repeat(4_000)],
    ["half sequences", ESC.repeat(65_536)],
  ] as const)
    test(
      name,
      () => {
        const window = createOutputWindow();
        const bytes = encode(piece);
        const from = process.cpuUsage(); // not the time, which passes on a busy machine too
        const before = process.memoryUsage().arrayBuffers;
        for (let i = 0; i < 10; i++) window.push(bytes);
        expect(process.cpuUsage(from).user / 1000).toBeLessThan(3_300);
        Bun.gc(true);
        expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(3_000_000);
        expect(window.totalBytes).toBe(10 * bytes.length);
        expect(window.render(null).text.length).toBeLessThan(31_000);
      },
      TEST_LIMIT_MS,
    );
});
