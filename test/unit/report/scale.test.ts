import { expect, test } from "bun:test";
import fc from "fast-check";
import { linear, timeTicks } from "../../../src/report/html/scale.ts";
import { tickLabels } from "../../../src/views/tick-labels.ts";

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

test("names each tick with the digits in which it differs from the others", () => {
  const labels = (...values: number[]) => tickLabels(linear(values, 0, 100).ticks);
  expect(labels(2.34501, 2.34509)).toEqual(["2.34502", "2.34504", "2.34506", "2.34508"]);
  expect(labels(1_000_010, 1_000_055)).toEqual(["1000010", "1000020", "1000030", "1000040", "1000050"]);
  expect(labels(0, 1)).toEqual(["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
  fc.assert(
    fc.property(fc.array(fc.double(), { maxLength: 20 }), fc.double({ min: 1, max: 1e15 }), (values, near) => {
      for (const all of [labels(...values), labels(near, near + 1 / near), labels(near, near * (1 + 1e-14))])
        expect(new Set(all).size).toBe(all.length);
    }),
    { examples: [[[-Number.MAX_VALUE, Number.MAX_VALUE], 1]] },
  );
});

test("has no negative values on an axis where all are 0", () => {
  expect(linear([0, 0], 0, 100).ticks[0]).toBe(0);
});

test("counts time in steps that people count in", () => {
  expect(timeTicks(50)).toEqual([0, 10, 20, 30, 40, 50]);
  expect(timeTicks(3 * 3600)).toEqual([0, 1800, 3600, 5400, 7200, 9000, 10_800]);
  for (const seconds of [0, 1, 1e5, 1e9]) expect(timeTicks(seconds).length).toBeLessThan(10);
});
