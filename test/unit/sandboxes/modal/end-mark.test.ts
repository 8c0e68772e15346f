import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { EndMarkScanner } from "../../../../src/sandboxes/modal/end-mark.ts";

const mark = (code: number, { id = "p1", isLeft = false } = {}) =>
  `\x1e[${id} ended with code ${code}${isLeft ? ", and others run on" : ""}; what follows is of processes it left running]\n`;

function scan(chunks: readonly Uint8Array[], id = "p1"): { bytes: Buffer; code: number | null; isLeft: boolean } {
  const scanner = new EndMarkScanner(id);
  const parts: Uint8Array[] = [];
  for (const chunk of chunks) {
    const found = scanner.push(chunk);
    parts.push(Buffer.from(found.bytes));
    if (found.code !== null) return { ...found, bytes: Buffer.concat(parts) };
  }
  return { bytes: Buffer.concat([...parts, scanner.rest()]), code: null, isLeft: false };
}

const cut = (bytes: Buffer, sizes: readonly number[]): Buffer[] => {
  const chunks: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
};

/** Output that resembles the mark as much as possible. */
const output = fc
  .array(
    fc.constantFrom(
      "\x1e",
      "[",
      "p1",
      " ended with code ",
      "7",
      "\n",
      "ü",
      mark(3, { id: "p2" }),
      "\x1e[p1 ended with code x;",
      "abc",
    ),
    { maxLength: 30 },
  )
  .map((parts) => Buffer.from(parts.join("")));

describe("the mark at the end of a command's output", () => {
  test("is found however the stream is split, and nothing before it is lost or held back", () => {
    fc.assert(
      fc.property(
        output,
        fc.integer({ min: 0, max: 255 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        fc.boolean(),
        (bytes, code, sizes, isLeft) => {
          const all = Buffer.concat([bytes, Buffer.from(mark(code, { isLeft })), Buffer.from("left behind")]);
          expect(scan(cut(all, sizes))).toEqual({ bytes, code, isLeft });
          expect(scan(cut(bytes, sizes))).toEqual({ bytes, code: null, isLeft: false });
        },
      ),
    );
  });

  test("holds back only bytes that may be part of it", () => {
    const scanner = new EndMarkScanner("p1");
    expect(Buffer.from(scanner.push(Buffer.from("ready\n")).bytes).toString()).toBe("ready\n");
    expect(Buffer.from(scanner.push(Buffer.from("a\x1e[p")).bytes).toString()).toBe("a");
    expect(Buffer.from(scanner.push(Buffer.from("x")).bytes).toString()).toBe("\x1e[px");
  });
});
