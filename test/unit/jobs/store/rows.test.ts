import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { z } from "zod";
import { BrokenRow, parseRow, remembered } from "../../../../src/jobs/store/rows.ts";

describe("a remembered schema", () => {
  const row = fc.record({ id: fc.constantFrom("a", "b", "__proto__"), n: fc.nat(2), text: fc.constantFrom(null, "x") });

  test("says of every row what the schema itself says, in whatever order rows come and change", () => {
    const schema = z.object({ id: z.string(), n: z.number(), text: z.string().nullable() });
    fc.assert(
      fc.property(fc.array(row, { maxLength: 30 }), (rows) => {
        const known = remembered(schema);
        expect(rows.map((one) => parseRow(known, { ...one }, ""))).toEqual(rows);
      }),
    );
  });

  test("parses a row again only when one of its columns has changed", () => {
    let parsed = 0;
    const known = remembered(
      z.object({ job: z.string(), n: z.number() }).transform((one) => ({ ...one, by: ++parsed })),
    );
    const ns = [1, 1, 2, 2, 1].map((n) => parseRow(known, { job: "j", n }, "").by);
    expect(ns).toEqual([1, 1, 2, 2, 3]);
  });

  test("refuses a broken row each time, and reads it once it is sound", () => {
    const known = remembered(z.object({ id: z.string(), n: z.number() }));
    for (let again = 0; again < 2; again++)
      expect(() => parseRow(known, { id: "a", n: "one" }, "SELECT n FROM things")).toThrow(BrokenRow);
    expect(() => parseRow(known, { id: "a", n: "one" }, "SELECT n FROM things")).toThrow(/row "a" of things.*n: /);
    expect(parseRow(known, { id: "a", n: 1 }, "")).toEqual({ id: "a", n: 1 });
  });
});
