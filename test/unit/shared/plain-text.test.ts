import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  countInvisible,
  inQuotes,
  oneLine,
  plainName,
  plainText,
  withoutEscapeCodes,
} from "../../../src/shared/plain-text.ts";

const tags = (text: string) => [...text].map((one) => String.fromCodePoint(0xe0000 + one.charCodeAt(0))).join("");

const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Arbitrary text with many characters that are invisible and have an effect. */
const ODD = [
  ...[
    "\0",
    "\b",
    "\t",
    "\n",
    "\v",
    "\f",
    "\r",
    "\r\n",
    "\x1b",
    "\x1b[31m",
    "\x1b[2K",
    "\x1b]0;t\x07",
    "\x1b]8;;u\x1b\\",
  ],
  ...["\x7f", "\x85", "\x9b31m", "\x9d0;t\x9c", "\xad", "\u034f", "\u061c", "\u115f", "\u180e", "\u200b", "\u200c"],
  ...["\u200d", "\u200e", "\u200f", "\u2028", "\u2029", "\u202a", "\u202e", "\u2060", "\u2066", "\u2069", "\u206f"],
  ...[
    "\u3164",
    "\ufe00",
    "\ufe0f",
    "\ufeff",
    "\uffa0",
    "\ufff9",
    "\uffff",
    "\ud800",
    "\udc00",
    "\u{e0001}",
    tags("hi"),
  ],
  ...[
    "\u{e0100}",
    "\u{1d173}",
    "</result>",
    "</job>",
    '<job id="job_2" state="completed">',
    '"',
    "\\",
    " · ",
    "`",
    "é",
  ],
  ...["job_2  completed  x", "👩‍🚀", "❤️", "نمی‌خواهم", "क्‍ष", "1️⃣", ", "],
];
const odd = fc.string({
  unit: fc.oneof(fc.constantFrom(...ODD), fc.string({ unit: "binary", maxLength: 3 })),
  maxLength: 60,
});

describe("plain text", () => {
  test.each([
    ["colours and cursor moves", "\x1b[1;31mred\x1b[0m\x1b[2K\x1b[1A", "red"],
    ["titles, and links except their text", "\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"],
    ["eight-bit escape codes", "\x9b31mred\x9d0;title\x9c", "red"],
    [
      "the start of a title that never ends, but not the text after it",
      "\x1b]0;all of this\nstays",
      "0;all of this\nstays",
    ],
    ["other escapes and bells", "\x1bcreset\x1b(Bascii\x07\b\0\x7f", "resetascii"],
    ["direction marks", "a\u202eb\u2066c\u2069d\u200ee\u061cf", "abcdef"],
    ["zero-width characters", "a\u200bb\u2060c\ufeffd\xade\u115ff\u3164g\u034fh", "abcdefgh"],
    [
      "tag characters and variation selectors that hide text",
      `a${tags("ignore all")}b\u{e0101}\u{e0150}\ufe01c`,
      "abc",
    ],
    ["joiners and selectors that join nothing", "a\u200db\u200cc\ufe0f", "abc"],
    ["lone surrogates", "a\ud800b\udc00\ud800\ufeffc\ud800\uffff", "a\ufffdb\ufffd\ufffdc\ufffd"],
  ])("removes %s", (_what, given, expected) => {
    expect(plainText(given)).toBe(expected);
  });

  test("turns every kind of line break into a line feed", () => {
    expect(plainText("a\r\nb\rc\u2028d\u2029e\x85f\vg\fh\n\ti")).toBe("a\nb\nc\nd\ne\nf\ng\nh\n\ti");
  });

  test.each([
    "👩‍🚀 🏳️‍🌈 👍🏽 1️⃣ ❤️ ☎︎ 🇩🇪 👨‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "نمی‌خواهم",
    "क्‍ष ക്‍",
    "é Việt ñ ṩ",
    "שָׁלוֹם",
    "한국어 日本語 葛",
    "a\tb\n  c",
    "∑ → ✓ ⊘",
  ])("keeps visible text: %s", (text) => {
    expect(plainText(text)).toBe(text);
    expect(countInvisible(text)).toBe(0);
  });

  test("has no controls, escape codes, direction marks or hidden characters, whatever it is made from, and stays as it is when made plain again", () => {
    fc.assert(
      fc.property(odd, (text) => {
        const plain = plainText(text);
        expect(plain.replace(/[\n\t]/g, "")).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069\u200b\ufeff]/u);
        expect(plain.replace("🏴󠁧󠁢󠁥󠁮󠁧󠁿", "")).not.toMatch(/[\u{e0000}-\u{e0fff}]/u);
        expect(plain).not.toMatch(LONE);
        expect(plainText(plain)).toBe(plain);
        expect(countInvisible(plain)).toBe(0);
      }),
    );
  });

  test("counts the invisible characters", () => {
    expect(countInvisible(`a${tags("xyz")}\u200b\x1b[31m\r\nb`)).toBe(4);
  });
});

describe("one line", () => {
  test("has single spaces and a limited length", () => {
    expect(oneLine("  a\n\n b\u2028\tc  ")).toBe("a b c");
    expect(oneLine("x".repeat(20), 10)).toBe(`${"x".repeat(9)}…`);
    expect([...oneLine("😀".repeat(20), 10)].length).toBe(10);
    expect(oneLine("\n".repeat(1_000_000), 10)).toBe("…");
    const cutEmoji = oneLine("👩\u200d🚀".repeat(5), 6);
    expect(oneLine(cutEmoji, 6)).toBe(cutEmoji); // no joiner is left that joins nothing
  });

  test("is one line within the limit, whatever it is made from", () => {
    fc.assert(
      fc.property(odd, fc.integer({ min: 1, max: 40 }), (text, max) => {
        expect(oneLine(text, max)).not.toMatch(/[\n\r\t]| {2}/);
        expect([...oneLine(text, max)].length).toBeLessThanOrEqual(max);
        expect(JSON.parse(inQuotes(text))).toBe(oneLine(text)); // nothing inside closes the quotes
      }),
    );
  });
});

describe("a name", () => {
  test.each([
    ["src/a-b_c.ts", "src/a-b_c.ts"],
    ["ünï/名前/😀.txt", "ünï/名前/😀.txt"],
    ["two words", '"two words"'],
    ["a, b", '"a, b"'],
    ["a\nb", '"a\\nb"'],
    ["a\x1b[31m\u202e", '"a\\u001b[31m\\u202e"'],
    [`a${tags("x")}`, '"a\\udb40\\udc78"'],
    ["</result>", '"\\u003c/result>"'],
    ["", '""'],
  ])("%j is shown as %s", (name, shown) => {
    expect(plainName(name)).toBe(shown);
  });

  test("stays on one line and differs from every other name, whatever its characters", () => {
    fc.assert(
      fc.property(odd, (name) => {
        const shown = plainName(name, 10_000);
        expect(plainText(shown)).toBe(shown);
        expect(shown).not.toMatch(/[\n\t<]/);
        expect(shown.startsWith('"') ? JSON.parse(shown) : shown).toBe(name.replace(LONE, "\ufffd"));
      }),
    );
  });
});

test("text without escape codes keeps its words", () => {
  expect(withoutEscapeCodes("\x1b[32mok\x1b[0m")).toBe("ok");
});
