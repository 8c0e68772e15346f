import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  JobSeries,
  MOST_METRICS,
  MOST_POINTS,
  positionOf,
  reportedOf,
  type SeriesRecord,
  toMetricValue,
  toNumber,
} from "../../../src/core/series.ts";

const AT = 1_700_000_000_000;
const point = (value: number, step?: number, name = "loss") => ({
  name,
  value: toMetricValue(value),
  ...(step !== undefined && { step }),
  at: AT,
  source: "output" as const,
});
const seriesOf = (values: readonly number[], marks: readonly number[] = []) => {
  const series = new JobSeries(marks);
  for (const [i, value] of values.entries()) series.add(point(value, i));
  return series;
};
const values = fc.array(fc.double({ noDefaultInfinity: false }), { minLength: 1, maxLength: 3_000 });
const marks = fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 8 });

describe("a series", () => {
  test("keeps short ones whole, with NaN and infinities as themselves", () => {
    const series = seriesOf([1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    expect(series.points("loss").map(({ value }) => value)).toEqual([1, "NaN", "Infinity", "-Infinity"]);
    expect(series.points("loss").map(({ report }) => report)).toEqual([1, 2, 3, 4]);
  });

  test("of a long one keeps the first, the last, the extremes and the marks, evenly spaced between", () => {
    fc.assert(
      fc.property(values, marks, (all, marked) => {
        const points = seriesOf(all, marked).points("loss");
        const kept = new Set(points.map(positionOf));
        expect(points.length).toBeLessThanOrEqual(MOST_POINTS);
        expect(points.at(-1)?.step).toBe(all.length - 1);
        expect(kept.has(0)).toBe(true);
        const finite = all.filter(Number.isFinite);
        for (const extreme of finite.length ? [Math.min(...finite), Math.max(...finite)] : [])
          expect(points.some(({ value }) => toNumber(value) === extreme)).toBe(true);
        for (const mark of marked) expect(kept.has(mark)).toBe(mark < all.length);
        const places = [...kept].sort((a, b) => a - b);
        const gaps = places.slice(1).map((place, i) => place - (places[i] ?? 0));
        if (all.length > MOST_POINTS) expect(Math.max(...gaps)).toBeLessThanOrEqual((4 * all.length) / MOST_POINTS + 1);
      }),
      { numRuns: 50 },
    );
  });

  test("of a long one keeps the first NaN and infinities, a later spike beside them, and counts them all", () => {
    const all = Array.from({ length: 10_000 }, (_, i) => 1 / (i + 1));
    all[1] = Number.POSITIVE_INFINITY;
    all[5_001] = 500;
    for (const i of [7_001, 7_003, 9_001]) all[i] = Number.NaN;
    const series = seriesOf(all);
    const kept = new Map(series.points("loss").map(({ step, value }) => [step, value]));
    expect([1, 5_001, 7_001].map((step) => kept.get(step))).toEqual(["Infinity", 500, "NaN"]);
    expect(series.record("loss")?.notFinite).toEqual({ Infinity: 1, NaN: 3 });
    series.restart();
    series.add(point(Number.NaN, 6_000));
    expect(series.record("loss")?.notFinite).toEqual({ Infinity: 1, NaN: 1 });
  });

  test("goes on from records that do not say how many were not finite", () => {
    const { notFinite: _, ...former } = seriesOf([1, Number.NaN, 2]).record("loss") as SeriesRecord;
    const series = new JobSeries([], new Map([["loss", former]]));
    series.add(point(Number.NaN, 3));
    expect(series.record("loss")?.notFinite).toEqual({ NaN: 2 });
    expect(seriesOf([1, 2]).record("loss")).not.toHaveProperty("notFinite");
  });

  test("is the same whether it was stored in between or not", () => {
    fc.assert(
      fc.property(values, marks, fc.nat(3_000), (all, marked, cut) => {
        const whole = seriesOf(all, marked);
        const begun = seriesOf(all.slice(0, cut), marked);
        const record = begun.record("loss");
        const stored = JSON.parse(JSON.stringify(record ?? null));
        const gone = new JobSeries(marked, new Map(stored ? [["loss", stored]] : []));
        for (const [i, value] of all.entries()) if (i >= cut) gone.add(point(value, i));
        expect(gone.record("loss")).toEqual(whole.record("loss"));
      }),
      { numRuns: 50 },
    );
  });

  test("is bounded in names, and takes any name", () => {
    const series = new JobSeries();
    for (const name of ["__proto__", "constructor", "toString"]) series.add(point(1, 0, name));
    for (let i = 3; i < MOST_METRICS; i++) series.add(point(1, 0, `m${i}`));
    expect(series.add(point(1, 0, "one too many"))).toBeNull();
    expect(series.add(point(2, 1, "__proto__"))).toMatchObject({ value: 2 });
    expect(series.names()).toHaveLength(MOST_METRICS);
    expect(series.latest("__proto__")?.value).toBe(2);
  });

  test("has a place for each metric that was asked for, however many others come first", () => {
    const asked = ["loss", "__proto__", "never"];
    const series = new JobSeries([], new Map(), asked);
    const kept = Array.from({ length: MOST_METRICS }, (_, i) => series.add(point(1, 0, `m${i}`))).filter(Boolean);
    expect(kept).toHaveLength(MOST_METRICS - asked.length);
    for (const name of ["loss", "__proto__"]) expect(series.add(point(1, 0, name))).not.toBeNull();
    expect(series.add(point(1, 0, "one too many"))).toBeNull();
    expect(series.names()).toHaveLength(MOST_METRICS - 1);
  });

  test("counts reports where there is no step", () => {
    const series = new JobSeries();
    for (let i = 0; i < 1_000; i++) series.add(point(i));
    expect(series.latest("loss")).toMatchObject({ report: 1_000, value: 999 });
  });

  test("says how many values were reported, also those before its job began again", () => {
    const series = new JobSeries();
    const reported = () => reportedOf(series.record("loss") as SeriesRecord);
    for (let i = 0; i < 1_000; i++) series.add(point(i, i));
    expect(reported()).toBe(1_000);
    series.restart();
    series.add(point(0, 900));
    expect(reported()).toBeGreaterThan(800);
  });

  test("a job that begins again replaces what it reports again", () => {
    const series = new JobSeries();
    for (let step = 0; step < 10; step++) series.add(point(9, step));
    for (let i = 0; i < 10; i++) series.add(point(9, undefined, "acc"));
    series.restart();
    for (let step = 6; step < 8; step++) series.add(point(5, step)); // from its checkpoint
    series.add(point(5, undefined, "acc"));
    expect(series.points("loss").map(({ step, value }) => [step, value])).toEqual([
      ...[0, 1, 2, 3, 4, 5].map((step) => [step, 9]),
      [6, 5],
      [7, 5],
    ]);
    expect(series.points("acc")).toMatchObject([{ value: 5, report: 1 }]);
  });

  test("a job that begins again has as many points as if it had been the first time", () => {
    const [series, fresh] = [new JobSeries(), new JobSeries()];
    for (let i = 0; i < 100_000; i++) series.add(point(i, i));
    series.restart();
    for (let i = 0; i < 300; i++) for (const each of [series, fresh]) each.add(point(-i, i));
    expect(series.points("loss")).toEqual([...fresh.points("loss")]);
    expect(series.record("loss")).toEqual(fresh.record("loss"));
  });

  test("a job that goes on from a checkpoint keeps no more points than any other", () => {
    for (const checkpoint of [10, 1_000, 90_000, 131_072]) {
      const series = new JobSeries();
      for (let i = 0; i < 131_072; i++) series.add(point(i, i));
      series.restart();
      let most = 0;
      for (let i = checkpoint; i < checkpoint + 2_000; i++) {
        series.add(point(i, i));
        most = Math.max(most, series.points("loss").length);
      }
      expect({ checkpoint, isBounded: most <= MOST_POINTS }).toEqual({ checkpoint, isBounded: true });
    }
  });

  test("hundreds of thousands of points cost little, whatever their order", () => {
    const series = new JobSeries([10, 100]);
    for (let i = 0; i < 300_000; i++) series.add(point(i % 2 === 0 ? i : -i, i));
    expect(series.points("loss").length).toBeLessThanOrEqual(MOST_POINTS);
  });
});
