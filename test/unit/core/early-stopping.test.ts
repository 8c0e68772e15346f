import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decideStops, describeStop, type Entrant, isSameRule } from "../../../src/core/early-stopping.ts";
import type { StopRule } from "../../../src/core/run-task.ts";
import { type Point, toMetricValue } from "../../../src/core/series.ts";
import { playRuns, pointsOf } from "./stop-simulation.ts";

const rule: StopRule = { metric: "loss", direction: "min", rungs: [2, 4], keep: 0.5 };
const entrant = (id: string, values: readonly number[], more: Partial<Entrant> = {}): Entrant => ({
  id,
  points: pointsOf(values),
  isRunning: true,
  stoppedAt: null,
  passed: null,
  ...more,
});
const stops = (entrants: readonly Entrant[], change: Partial<StopRule> = {}) =>
  Object.fromEntries(decideStops({ ...rule, ...change }, entrants));

describe("a rung", () => {
  test("lets the best ⌈n × keep⌉ go on, and says how the others lost", () => {
    const runs = [5, 1, 3, 2, 4].map((value) => entrant(`${value}`, [9, value]));
    expect(stops(runs)).toEqual({
      4: { rung: 2, value: 4, cut: 3 },
      5: { rung: 2, value: 5, cut: 3 },
    });
    expect(Object.keys(stops(runs, { direction: "max" }))).toEqual(["1", "2"]);
    expect(Object.keys(stops(runs, { keep: 0.2 }))).toEqual(["2", "3", "4", "5"]);
    expect(stops(runs, { keep: 1 })).toEqual({});
  });

  test("does not count a binary fraction's error: of 10 with 0.7 there go on 7", () => {
    const runs = Array.from({ length: 10 }, (_, i) => entrant(`${i}`, [0, i]));
    for (const tenths of [1, 2, 3, 4, 5, 6, 7, 8, 9])
      expect(Object.keys(stops(runs, { keep: tenths / 10 }))).toHaveLength(10 - tenths);
  });

  test("lets the first to reach it go on, and a run alone", () => {
    expect(stops([entrant("a", [9, 9]), entrant("b", [1])])).toEqual({});
    expect(stops([entrant("a", [9, 9, 9, 9, 9])])).toEqual({});
    expect(stops([])).toEqual({});
  });

  test("lets runs go on that are as good as the cut", () => {
    expect(stops(["a", "b", "c", "d"].map((id) => entrant(id, [9, 1])))).toEqual({});
  });

  test("takes NaN and infinities for the worst, as rankings do: what is not finite measures nothing", () => {
    const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
    const runs = [entrant("nan", [1, nan]), entrant("inf", [1, inf]), entrant("-inf", [1, -inf]), entrant("1", [1, 1])];
    expect(stops(runs, { keep: 0.25 })).toEqual({
      nan: { rung: 2, value: "NaN", cut: 1 },
      inf: { rung: 2, value: "Infinity", cut: 1 },
      "-inf": { rung: 2, value: "-Infinity", cut: 1 },
    });
    expect(Object.keys(stops(runs, { direction: "max", keep: 0.25 }))).toEqual(["nan", "inf", "-inf"]);
    expect(stops([entrant("a", [1, inf]), entrant("b", [1, nan]), entrant("c", [1, -inf])])).toEqual({});
    expect(stops([entrant("a", [1, nan]), entrant("b", [1, nan])])).toEqual({});
  });

  test("counts the values of runs that have ended, and of stopped ones as far as they came", () => {
    const ended = entrant("ended", [9, 1], { isRunning: false });
    expect(stops([ended, entrant("worse", [9, 2])])).toEqual({ worse: { rung: 2, value: 2, cut: 1 } });
    const stopped = entrant("stopped", [9, 3, 0, 0], { isRunning: false, stoppedAt: 2 });
    expect(stops([stopped, entrant("a", [9, 1, 1, 1])])).toEqual({});
  });

  test("counts reports where there are no steps", () => {
    const points: Point[] = [7, 8].map((value, i) => ({ value, report: i + 1, at: 0, source: "output" }));
    expect(stops([entrant("a", [9, 1]), entrant("b", [], { points })])).toEqual({ b: { rung: 2, value: 8, cut: 1 } });
  });

  test("judges a run that jumps over rungs at each of them", () => {
    const jumps = entrant("jumps", [], { points: [{ value: 5, step: 400, report: 1, at: 0, source: "output" }] });
    const fine = entrant("fine", [9, 6, 6, 4], { passed: 4 });
    expect(stops([jumps, fine])).toEqual({ jumps: { rung: 4, value: 5, cut: 4 } });
    const start = entrant("start", [9, 4]);
    expect(stops([jumps, start])).toEqual({ jumps: { rung: 2, value: 5, cut: 4 } });
  });

  test("judges a run again when better ones come after it, until it has passed the next rung", () => {
    const better = [entrant("a", [9, 1]), entrant("b", [9, 2])];
    expect(stops([entrant("early", [9, 3], { passed: 2 }), ...better])).toEqual({
      early: { rung: 2, value: 3, cut: 2 },
    });
    expect(stops([entrant("early", [9, 3, 3, 3], { passed: 4 }), ...better])).toEqual({});
  });

  test("takes rungs in any order, and twice", () => {
    const runs = [1, 2, 3, 4].map((value) => entrant(`${value}`, [9, value]));
    expect(stops(runs, { rungs: [4, 2, 2] })).toEqual(stops(runs));
  });
});

test("rules are the same whatever the order of their keys and rungs", () => {
  expect(isSameRule(rule, { keep: 0.5, rungs: [4, 2], direction: "min", metric: "loss" })).toBe(true);
  for (const other of [{ metric: "acc" }, { direction: "max" as const }, { rungs: [2] }, { keep: 0.4 }])
    expect(isSameRule(rule, { ...rule, ...other })).toBe(false);
});

describe("whatever the curves and the order of arrival", () => {
  const curve = fc.array(
    fc.oneof(fc.integer({ min: 0, max: 8 }), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY)),
    {
      minLength: 8,
      maxLength: 8,
    },
  );
  const game = fc.record({
    curves: fc.array(curve, { minLength: 1, maxLength: 9 }),
    turns: fc.array(fc.nat(50), { maxLength: 80 }),
    slots: fc.integer({ min: 1, max: 9 }),
    keep: fc.constantFrom(0.1, 0.3, 0.5, 0.8),
    direction: fc.constantFrom("min" as const, "max" as const),
  });
  const order = (direction: "min" | "max") => (a: number, b: number) =>
    !Number.isFinite(a) || !Number.isFinite(b)
      ? Number(Number.isFinite(b)) - Number(Number.isFinite(a))
      : direction === "min"
        ? a - b || 0
        : b - a || 0;

  test("a run always goes on to its end: the best at the last rung", () => {
    fc.assert(
      fc.property(game, ({ curves, turns, slots, keep, direction }) => {
        const { stopped, taken } = playRuns({ ...rule, direction, keep }, curves, { turns, slots });
        const atLast = curves.flatMap((values, i) =>
          (taken.get(`run ${i}`) ?? 0) >= 4 ? [{ i, value: values[3] ?? 0 }] : [],
        );
        const counted = atLast.filter(({ i }) => stopped.get(`run ${i}`)?.rung !== 2);
        const [best] = counted.sort((a, b) => order(direction)(a.value, b.value));
        expect(best).toBeDefined();
        const asGood = counted.filter(({ value }) => order(direction)(value, best?.value ?? 0) === 0);
        for (const { i } of asGood) expect(stopped.has(`run ${i}`)).toBe(false);
      }),
    );
  });

  test("the best at a rung is not stopped there, and who is stopped was worse than the cut", () => {
    fc.assert(
      fc.property(game, ({ curves, turns, slots, keep, direction }) => {
        const { stopped } = playRuns({ ...rule, direction, keep }, curves, { turns, slots });
        for (const [id, { rung, value, cut }] of stopped) {
          expect(order(direction)(Number(value), Number(cut))).toBeGreaterThan(0);
          const values = curves[Number(id.slice(4))] ?? [];
          expect(Number(value)).toBe(values[rung - 1] ?? 0);
        }
      }),
    );
  });

  test("the best at the only rung goes on in every order of arrival", () => {
    fc.assert(
      fc.property(game, ({ curves, turns, keep, direction }) => {
        const short = curves.map((values) => values.slice(0, 3));
        const { stopped } = playRuns({ ...rule, rungs: [2], direction, keep }, short, {
          turns,
        });
        const byRank = short.map((values) => values[1] ?? 0).sort(order(direction));
        for (const [i, values] of short.entries())
          if (order(direction)(values[1] ?? 0, byRank[0] ?? 0) === 0) expect(stopped.has(`run ${i}`)).toBe(false);
      }),
    );
  });

  test("`min` and `max` are mirror images", () => {
    fc.assert(
      fc.property(game, ({ curves, turns, slots, keep }) => {
        const mirrored = curves.map((values) => values.map((value) => -value));
        const down = playRuns({ ...rule, direction: "min", keep }, curves, { turns, slots });
        const up = playRuns({ ...rule, direction: "max", keep }, mirrored, { turns, slots });
        expect([...up.stopped.keys()]).toEqual([...down.stopped.keys()]);
      }),
    );
  });

  test("whoever goes on with a smaller share goes on with a larger one, among the same runs", () => {
    fc.assert(
      fc.property(fc.array(curve, { maxLength: 9 }), fc.double({ min: 0.01, max: 1, noNaN: true }), (curves, keep) => {
        const runs = curves.map((values, i) => entrant(`${i}`, values.slice(0, 3)));
        const few = decideStops({ ...rule, keep: keep / 2 }, runs);
        for (const id of decideStops({ ...rule, keep }, runs).keys()) expect(few.has(id)).toBe(true);
      }),
    );
  });

  test("a decision depends on nothing but the runs, in any order, and stops none twice", () => {
    fc.assert(
      fc.property(
        fc.array(curve, { maxLength: 9 }),
        fc.array(fc.nat(8), { minLength: 9, maxLength: 9 }),
        (curves, lengths) => {
          const runs = curves.map((values, i) => entrant(`${i}`, values.slice(0, lengths[i])));
          const stopped = decideStops(rule, runs);
          expect(new Map(decideStops(rule, [...runs].reverse()))).toEqual(new Map(stopped));
          const after = runs.map((run) => {
            const how = stopped.get(run.id);
            return how ? { ...run, isRunning: false, stoppedAt: how.rung } : run;
          });
          expect(decideStops(rule, after).size).toBe(0);
        },
      ),
    );
  });

  test("values are those of the contract's spelling", () => {
    expect(toMetricValue(Number.NaN)).toBe("NaN");
    expect(toMetricValue(Number.NEGATIVE_INFINITY)).toBe("-Infinity");
  });
});

test("says how a run lost, with as many digits as it takes to see the difference", () => {
  expect(describeStop({ rung: 30, value: 2.31, cut: 1.9 }, "loss")).toBe(
    "stopped early at step 30: loss 2.31, the cut was 1.9",
  );
  expect(describeStop({ rung: 3, value: "NaN", cut: 0.12345678 }, "a\nb")).toBe(
    "stopped early at step 3: a b NaN, the cut was 0.123457",
  );
  expect(describeStop({ rung: 3, value: 0.12345679, cut: 0.12345678 }, "l")).toContain(
    "0.12345679, the cut was 0.12345678",
  );
});
