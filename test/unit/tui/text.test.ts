import { expect, test } from "bun:test";
import fc from "fast-check";
import { columnsOf, cut, piece, row, textOf, widthOf } from "../../../src/tui/text.ts";

const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("\x1b[31mred", "a\tb\nc", "日本語", "e\u0301", "👩‍👩‍👧"),
);

test("a text never takes more columns than it is given, and stays on one line", () => {
  fc.assert(
    fc.property(anyText, fc.integer({ min: 0, max: 60 }), (text, columns) => {
      const shown = cut(text, columns);
      expect(columnsOf(shown)).toBeLessThanOrEqual(columns);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be left
      expect(shown).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202e]/);
    }),
  );
});

test("a row fills its columns exactly when something is on the right, and never takes more", () => {
  fc.assert(
    fc.property(fc.array(anyText), fc.array(anyText), fc.integer({ min: 1, max: 80 }), (left, right, columns) => {
      const line = row(
        columns,
        left.map((text) => piece(text)),
        right.map((text) => piece(text)),
      );
      expect(widthOf(line)).toBeLessThanOrEqual(columns);
    }),
  );
  expect(textOf(row(20, [piece("● "), piece("train")], [piece("2m")]))).toBe("● train           2m");
});

test("what is too long is cut before a character, not within one, and says so", () => {
  expect(cut("日本語", 5)).toBe("日本…");
  expect(cut("日本語", 4)).toBe("日…");
  expect(cut("plain", 5)).toBe("plain");
  expect(textOf(row(20, [piece("a very long description of it")], [piece("$1.84")]))).toBe("a very long d… $1.84");
  expect(textOf(row(10, [piece("description")], [piece("$1.84")]))).toBe("descripti…");
});
