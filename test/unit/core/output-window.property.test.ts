import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { TEST_LIMIT_MS } from "../../../.ci/bun-test.mjs";
import { createOutputWindow } from "../../../src/core/output-window.ts";
import { propertyRuns } from "../../support/property-runs.ts";

const encode = (text: string) => new TextEncoder().encode(text);
/** Pushes `content` in pieces of those sizes, over and over. */
function pushAll(content: Uint8Array, sizes: readonly number[] = [content.length]) {
  const window = createOutputWindow();
  for (let at = 0, turn = 0; at < content.length; turn++) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? 1);
    window.push(content.subarray(at, at + size));
    at += size;
  }
  return window;
}
const lines = (count: number, width = 8) =>
  Array.from({ length: count }, (_, index) => String(index).padStart(width, ".")).join("\n");
const sizes = fc.array(fc.integer({ min: 1, max: 50_000 }), { minLength: 1, maxLength: 5 });
const NOTICE = /\n\[… (\d+) (bytes|lines) cut(?:; the full output is in (\S+))? …\]\n/;

describe("an output window", () => {
  test("shows a small output exactly, whatever pieces it arrived in", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 3_000 }), sizes, (text, pieces) => {
        expect(pushAll(encode(text), pieces).render("/log")).toEqual({ text, cut: false });
      }),
    );
  });

  test("keeps the ends of a long output unchanged and below the host's limits, whatever pieces it arrived in", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 12_000 }),
        fc.integer({ min: 1, max: 40 }),
        sizes,
        (count, width, pieces) => {
          const text = lines(count, width);
          const window = pushAll(encode(text), pieces);
          const shown = window.render(null);
          expect(shown).toEqual(pushAll(encode(text)).render(null));
          expect(window.totalBytes).toBe(text.length);
          expect(shown.text.length).toBeLessThan(31_000);
          expect(shown.text.split("\n").length).toBeLessThanOrEqual(1_401);
          expect(shown.cut).toBe(shown.text !== text);
          const [first = "", cut, unit, , last = ""] = shown.text.split(NOTICE);
          expect(text.startsWith(first)).toBe(true);
          if (!shown.cut) return;
          expect(text.endsWith(last)).toBe(true);
          const missing = text.slice(first.length, text.length - last.length);
          // Around cut lines two newlines stand where the notice is; cut bytes are counted as they are.
          expect(Number(cut)).toBe(unit === "bytes" ? missing.length : missing.split("\n").length - 2);
        },
      ),
      { numRuns: propertyRuns(60) },
    );
  });

  test("counts the bytes cut from binary output", () => {
    const { text } = pushAll(new Uint8Array(100_000).fill(0xff), [7_001]).render("/tmp/log");
    expect(NOTICE.exec(text)?.slice(1)).toEqual(["70000", "bytes", "/tmp/log"]);
  });

  test(
    "keeps hundreds of megabytes in a few dozen kilobytes",
    () => {
      const window = createOutputWindow();
      const chunk = encode(lines(6_000));
      const before = process.memoryUsage().arrayBuffers;
      for (let i = 0; i < 5_000; i++) window.push(chunk);
      Bun.gc(true);
      expect(window.totalBytes).toBe(5_000 * chunk.length);
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2_000_000);
      expect(window.render(null).text.length).toBeLessThan(31_000);
    },
    TEST_LIMIT_MS,
  );

  test("takes 200,000 small pieces in a moment", () => {
    const window = createOutputWindow();
    const chunk = encode("x\n");
    for (let i = 0; i < 200_000; i++) window.push(chunk);
    expect(window.totalBytes).toBe(400_000);
    expect(window.tail(2)).toBe("x\nx");
  });

  test("returns the newest lines of an output of any length", () => {
    for (const count of [3, 1_112, 1_300, 4_000, 50_000]) {
      const window = pushAll(encode(`${lines(count)}\n`), [997]);
      const expected = Array.from({ length: 3 }, (_, index) => String(count - 3 + index).padStart(8, "."));
      expect(window.tail(3).split("\n")).toEqual(expected);
    }
    expect(pushAll(encode("one")).tail(12)).toBe("one");
    expect(createOutputWindow().tail(12)).toBe("");
  });
});
