import { expect, test } from "bun:test";
import fc from "fast-check";
import { linear, timeTicks } from "../../../src/report/html/scale.ts";

test("places every value within the chart, and names few round ticks", () => {
  expect(linear([0, 10], 0, 100).ticks).toEqual([0, 2, 4, 6, 8, 10]);
  fc.assert(
    fc.property(fc.array(fc.double(), { maxLength: 20 }), (values) => {
      const { at, ticks } = linear(values, 10, 200);
      for (const value of values.filter(Number.isFinite)) {
        expect(at(value)).toBeGreaterThanOrEqual(10);
        expect(at(value)).toBeLessThanOrEqual(200);
      }
      expect(ticks.length).toBeLessThanOrEqual(51);
      expect(ticks.every(Number.isFinite)).toBe(true);
    }),
    { examples: [[[-4e-323]], [[0, 5e-324]], [[-Number.MAX_VALUE, Number.MAX_VALUE]]] },
  );
});

test("counts time in steps that people count in", () => {
  expect(timeTicks(50)).toEqual([0, 10, 20, 30, 40, 50]);
  expect(timeTicks(3 * 3600)).toEqual([0, 1800, 3600, 5400, 7200, 9000, 10_800]);
  for (const seconds of [0, 1, 1e5, 1e9]) expect(timeTicks(seconds).length).toBeLessThan(10);
});
