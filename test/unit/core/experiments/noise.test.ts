import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  areRepeatsEqual,
  c4,
  compareMeans,
  leastDifference,
  noiseFloor,
  type Summary,
  studentT,
  summarize,
  verdict,
} from "../../../../src/core/experiments/noise.ts";
import type { MetricValue } from "../../../../src/core/run-task.ts";
import { toMetricValue } from "../../../../src/core/series.ts";
import { propertyRuns } from "../../../support/property-runs.ts";

const number = fc.double({ noNaN: true, noDefaultInfinity: true });
const modest = fc.double({ min: -1e6, max: 1e6, noNaN: true });
const anyValue = fc.double().map(toMetricValue);
const runs = { numRuns: propertyRuns(1000) };
const of = (...values: MetricValue[]): Summary => summarize(values) as Summary;

describe("mean and deviation", () => {
  test("are those of statistics books", () => {
    expect(of(2, 4, 4, 4, 5, 5, 7, 9)).toMatchObject({ mean: 5, n: 8 });
    expect(of(2, 4, 4, 4, 5, 5, 7, 9).deviation).toBeCloseTo(2.1381, 4);
    expect(of(1.0611)).toEqual({ mean: 1.0611, deviation: null, n: 1 });
    expect(summarize([])).toBeNull();
  });

  test("of equal values are exactly their value and 0; of others the mean lies between them", () => {
    fc.assert(
      fc.property(number, fc.integer({ min: 2, max: 20 }), (value, n) => {
        expect(of(...Array.from({ length: n }, () => value))).toEqual({ mean: value, deviation: 0, n });
      }),
      runs,
    );
    fc.assert(
      fc.property(fc.array(number, { minLength: 1, maxLength: 20 }), (values) => {
        const { mean, deviation } = of(...values);
        expect(mean as number).toBeGreaterThanOrEqual(Math.min(...values));
        expect(mean as number).toBeLessThanOrEqual(Math.max(...values));
        expect(deviation ?? 0).toBeGreaterThanOrEqual(0);
        expect(deviation).not.toBeNaN();
      }),
      runs,
    );
  });

  test("do not depend on order, and move and stretch with the values", () => {
    fc.assert(
      fc.property(fc.array(modest, { minLength: 2, maxLength: 10 }), modest, (values, shift) => {
        const { mean, deviation } = of(...values) as { mean: number; deviation: number };
        const tolerance = 1e-6 * (1 + Math.max(...values.map(Math.abs)) + Math.abs(shift));
        const near = (a: number, b: number) => expect(Math.abs(a - b)).toBeLessThanOrEqual(tolerance);
        near(of(...[...values].reverse()).mean as number, mean);
        near(of(...values.map((value) => value + shift)).mean as number, mean + shift);
        near(of(...values.map((value) => value + shift)).deviation as number, deviation);
        near(of(...values.map((value) => -2 * value)).deviation as number, 2 * deviation);
      }),
      runs,
    );
  });

  test("a value that is no number makes the mean none, and has no deviation", () => {
    expect(of(1, "NaN", 2)).toEqual({ mean: "NaN", deviation: null, n: 3 });
    expect(of(1, "Infinity")).toEqual({ mean: "Infinity", deviation: null, n: 2 });
    expect(of("-Infinity", "Infinity")).toEqual({ mean: "NaN", deviation: null, n: 2 });
  });
});

describe("the noise floor", () => {
  test("is the control's deviation over seeds, corrected for their number", () => {
    expect([2, 3, 4, 5, 10, 25].map((n) => Number(c4(n).toFixed(4)))).toEqual([
      0.7979, 0.8862, 0.9213, 0.94, 0.9727, 0.9896,
    ]);
    const floor = noiseFloor({ control: of(1, 1.1, 0.9), group: [of(1, 1.1, 0.9), of(5, 9)] });
    expect(floor).toMatchObject({ n: 3, source: "seeds" });
    expect(floor?.value).toBeCloseTo(0.1 / 0.8862, 4);
  });

  test("is that of all where the control does not vary, as one that fails every time", () => {
    const group = [of(0.1, 0.1, 0.1), of(0, 0.4), of(0.3, 0.3)];
    const floor = noiseFloor({ control: of(0.1, 0.1, 0.1), group });
    expect(floor).toEqual(noiseFloor({ control: null, group }));
    expect(floor?.value).toBeGreaterThan(0.1);
  });

  test("is not 0 where all repeats are equal: then it is the group's, as if everything was measured once", () => {
    const group = [of(0.9, 0.9, 0.9), of(0.900001, 0.900001, 0.900001)];
    const floor = noiseFloor({ control: of(0.9, 0.9, 0.9), group });
    expect(floor).toMatchObject({ n: 2, source: "group" });
    expect(group.map((one) => verdict(one, of(0.9, 0.9, 0.9), "max", floor))).toEqual(["noise", "noise"]);
    expect(noiseFloor({ control: of(1, 1), group: [of(1, 1), of(1, 1)] })).toBeNull();
    expect(noiseFloor({ control: of(1, 1), group: [] })).toBeNull();
    expect([group, [of(1), of(2)], [of(1, 1), of(1, 2)]].map(areRepeatsEqual)).toEqual([true, false, false]);
  });

  test("is not made smaller by what does not vary, as what is right in every case", () => {
    const floor = noiseFloor({ control: of(1, 1, 1), group: [of(1, 1, 1), of(0, 0, 0), of(0.98, 0.99, 1)] });
    expect(floor).toEqual(noiseFloor({ control: null, group: [of(0.98, 0.99, 1)] }));
  });

  test("is pooled over all that were measured over seeds where the control was measured once", () => {
    const floor = noiseFloor({ control: of(1), group: [of(1), of(1, 1.2), of(2, 2.2), of(7)] });
    expect(floor).toMatchObject({ n: 4, source: "seeds" });
    expect(floor?.value).toBeCloseTo(Math.SQRT2 / 10 / c4(3), 6);
  });

  test("is 1.4826 times the group's median absolute deviation where nothing was measured twice, and says so", () => {
    const floor = noiseFloor({ control: of(1), group: [1, 1.1, 0.9, 1.3, 9].map((value) => of(value)) });
    expect(floor).toMatchObject({ n: 5, source: "group" });
    expect(floor?.value).toBeCloseTo(0.2 * 1.4826, 6);
    expect(floor).not.toHaveProperty("isByMean");
  });

  test("is 1.2533 times the group's mean absolute deviation where more than half of it are equal, and not known where all are", () => {
    const floor = noiseFloor({ control: of(1), group: [1, 1, 1, 1.2, 0.7].map((value) => of(value)) });
    expect(floor).toMatchObject({ n: 5, source: "group", isByMean: true });
    expect(floor?.value).toBeCloseTo(0.1 * 1.2533, 6);
    expect(noiseFloor({ control: of(1), group: [of(1), of(1), of(1)] })).toBeNull();
  });

  test("is not known of one measurement, and numbers that are none are left out", () => {
    expect(noiseFloor({ control: null, group: [] })).toBeNull();
    expect(noiseFloor({ control: of(1), group: [of(1), of("NaN"), of("Infinity")] })).toBeNull();
    expect(noiseFloor({ control: of("NaN", 1), group: [of("NaN", 1), of(1), of(1.5)] })).toMatchObject({
      n: 2,
      source: "group",
    });
  });

  test("c4 has no step where its two formulas meet", () => {
    expect(Math.abs(c4(300) - c4(301))).toBeLessThan(1e-5);
  });

  test("is never negative and never NaN, whatever was measured", () => {
    const summary = fc.array(anyValue, { minLength: 1, maxLength: 4 }).map((values) => of(...values));
    fc.assert(
      fc.property(fc.option(summary), fc.array(summary, { maxLength: 8 }), (control, group) => {
        const floor = noiseFloor({ control, group });
        if (floor === null) return;
        expect(floor.value).toBeGreaterThan(0);
        expect(Number.isFinite(floor.value)).toBe(true);
        expect(floor.n).toBeGreaterThanOrEqual(2);
      }),
      runs,
    );
  });
});

describe("a verdict", () => {
  const SEEDS = { value: 0.01, n: 3, source: "seeds", freedom: 2 } as const;
  const GROUP = { value: 0.01, n: 9, source: "group" } as const;

  test("is noise up to as many standard errors of the difference as Student's t says, and beyond them follows the direction", () => {
    const control = of(1, 1, 1);
    expect(leastDifference(SEEDS, 1, 3)).toBeCloseTo(0.044, 4);
    expect(verdict(of(0.96), control, "min", SEEDS)).toBe("noise");
    expect(verdict(of(0.95), control, "min", SEEDS)).toBe("better");
    expect(verdict(of(0.95), control, "max", SEEDS)).toBe("worse");
    expect(verdict(of(1.05), control, "min", SEEDS)).toBe("worse");
    expect(verdict(of(1.05), control, "max", SEEDS)).toBe("better");
    expect(verdict(of(0.97, 0.97, 0.97, 0.97), control, "min", SEEDS)).toBe("better"); // more seeds show smaller differences
    expect(verdict(of(0.985), of(1), "min", GROUP)).toBe("better");
  });

  test("calls the same thing better or worse about one time in twenty, however few seeds its control has", () => {
    expect([1, 2, 10, 11, 20, 120].map((freedom) => Number(studentT(freedom).toFixed(2)))).toEqual([
      12.71, 4.3, 2.23, 2.2, 2.09, 1.98,
    ]);
    let state = 1;
    const uniform = () => {
      state = (state * 48_271) % 2_147_483_647;
      return state / 2_147_483_647;
    };
    const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
    const draw = (n: number) => of(...Array.from({ length: n }, normal));
    for (const [seeds, repeats] of [
      [2, 1],
      [3, 3],
      [5, 1],
      [12, 5],
    ] as const) {
      let told = 0;
      for (let n = 0; n < 4_000; n++) {
        const control = draw(seeds);
        const floor = noiseFloor({ control, group: [control] });
        if (verdict(draw(repeats), control, "min", floor) !== "noise") told++;
      }
      expect(Math.abs(told / 4_000 - 0.05)).toBeLessThan(0.015);
    }
  });

  test("is none without something to compare with, or without a floor", () => {
    expect(verdict(of(1), null, "min", SEEDS)).toBeNull();
    expect(verdict(of("NaN"), null, "min", SEEDS)).toBeNull();
    expect(verdict(of(1), of(2), "min", null)).toBeNull();
  });

  test("a mean that is no number is worse than any, and any number is better than it", () => {
    for (const direction of ["min", "max"] as const)
      for (const value of ["NaN", "Infinity", "-Infinity"] as const) {
        expect(verdict(of(value), of(1), direction, null)).toBe("worse");
        expect(verdict(of(1), of(value), direction, null)).toBe("better");
      }
  });

  test("of two that are no numbers, neither is worse", () => {
    expect(verdict(of("NaN"), of("NaN"), "min", SEEDS)).toBeNull();
    expect(verdict(of("Infinity"), of("NaN"), "max", null)).toBeNull();
  });

  test("changes sides with the direction and with what is compared, and never calls a mean better than itself", () => {
    const opposite = { better: "worse", worse: "better", noise: "noise" } as const;
    const direction = fc.constantFrom("min", "max" as const);
    const floor = fc.record({
      value: fc.double({ min: 0, max: 10, noNaN: true }),
      n: fc.constant(3),
      source: fc.constantFrom("seeds", "group" as const),
      freedom: fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(modest, modest, direction, floor, (a, b, towards, noise) => {
        const found = verdict(of(a), of(b), towards, noise);
        if (found === null) throw new Error("there is a floor");
        expect(verdict(of(a), of(b), towards === "min" ? "max" : "min", noise)).toBe(opposite[found]);
        expect(verdict(of(b), of(a), towards, noise)).toBe(opposite[found]);
        expect(verdict(of(a), of(a), towards, noise)).toBe("noise");
        if (found === "better") expect(compareMeans(a, b, towards)).toBeLessThan(0);
      }),
      runs,
    );
  });
});

test("ranking is a total order with what is no number at the end", () => {
  const sorted = (direction: "min" | "max") =>
    (["NaN", 2, "-Infinity", 1, "Infinity", 3] as MetricValue[]).sort((a, b) => compareMeans(a, b, direction));
  expect(sorted("min").slice(0, 3)).toEqual([1, 2, 3]);
  expect(sorted("max").slice(0, 3)).toEqual([3, 2, 1]);
  fc.assert(
    fc.property(anyValue, anyValue, anyValue, fc.constantFrom("min", "max" as const), (a, b, c, direction) => {
      expect(Math.sign(compareMeans(a, b, direction))).toBe(0 - Math.sign(compareMeans(b, a, direction)));
      if (compareMeans(a, b, direction) <= 0 && compareMeans(b, c, direction) <= 0)
        expect(compareMeans(a, c, direction)).toBeLessThanOrEqual(0);
    }),
    runs,
  );
});
