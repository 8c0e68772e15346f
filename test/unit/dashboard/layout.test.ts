import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createEventReader } from "../../../src/dashboard/page/layout/events.ts";
import { forecastOf } from "../../../src/dashboard/page/layout/forecast.ts";
import { difference, duration } from "../../../src/dashboard/page/layout/format.ts";
import { toLineage } from "../../../src/dashboard/page/layout/lineage.ts";
import { timeTicks, toDots, toPath, toScale } from "../../../src/dashboard/page/layout/scale.ts";
import { spanOf, thinSteps, toBar } from "../../../src/dashboard/page/layout/timeline.ts";
import { rowsInView } from "../../../src/dashboard/page/layout/window.ts";
import { gpuSteps } from "../../../src/views/gpu-steps.ts";
import { tickLabels } from "../../../src/views/tick-labels.ts";
import { propertyRuns } from "../../support/property-runs.ts";
import { iso, START, sampleJob } from "../../support/sample-lab.ts";

const RUNS = { numRuns: propertyRuns(300) };
const nat = (max: number) => fc.nat({ max });

describe("rows of a long list", () => {
  test("those in sight are drawn, few others, and the height of all is kept", () => {
    fc.assert(
      fc.property(nat(20_000), nat(600_000), nat(900), (total, scrolled, visible) => {
        const { first, end, above, below } = rowsInView(total, 28, scrolled, visible);
        expect(above + (end - first) * 28 + below).toBe(total * 28);
        expect(end - first).toBeLessThanOrEqual(Math.ceil(visible / 28) + 18);
        const inSight = (row: number) => 28 * (row + 1) > scrolled && 28 * row < scrolled + visible;
        for (const row of [Math.floor(scrolled / 28), Math.floor((scrolled + visible - 1) / 28)])
          if (row < total && row >= 0 && inSight(row)) expect(row >= first && row < end).toBe(true);
      }),
      RUNS,
    );
  });
});

const anyJob = fc
  .record({
    created: nat(5_000),
    waited: fc.option(fc.integer({ min: -50, max: 900 })),
    ran: fc.option(fc.integer({ min: -50, max: 900 })),
  })
  .map(({ created, waited, ran }) => {
    const { startedAt: _, ...job } = sampleJob("job", { createdAt: iso(created), gpu: "H100:2" });
    const started = waited === null ? {} : { startedAt: iso(created + waited) };
    return { ...job, ...started, ...(waited !== null && ran !== null && { endedAt: iso(created + waited + ran) }) };
  });

describe("the timeline", () => {
  test("the bar of an interrupted job ends where it was interrupted", () => {
    const job = sampleJob("job", { state: "interrupted", startedAt: iso(10), elapsedSeconds: 30 });
    const later = START + 1_000_000;
    expect(toBar(job, { from: START, to: START + 100_000 }, later).run).toEqual([0.1, 0.4]);
  });

  test("every bar lies within it, waits before it runs, and never runs backwards, whatever the clocks said", () => {
    fc.assert(
      fc.property(fc.array(anyJob), nat(7_000), (jobs, seconds) => {
        const now = START + seconds * 1000;
        const span = spanOf(jobs, now);
        expect(span.from).toBeLessThan(span.to);
        for (const job of jobs) {
          const { wait, run } = toBar(job, span, now);
          const places = [0, ...wait, ...(run ?? []), 1];
          expect(places).toEqual([...places].sort((a, b) => a - b));
        }
      }),
      RUNS,
    );
  });

  test("GPUs that jobs held add up, and all are given back", () => {
    fc.assert(
      fc.property(fc.array(anyJob), (jobs) => {
        const steps = gpuSteps(jobs, START + 9_000_000);
        expect(steps.every(({ used }) => used >= 0)).toBe(true);
        if (steps.length > 0) expect(steps.at(-1)?.used).toBe(0);
      }),
      RUNS,
    );
    const gpuUse = { utilization: 25, heldSeconds: 9, measuredSeconds: 9, samples: 3 };
    const held = gpuSteps([sampleJob("a", { gpu: "H100:8", gpuUse, startedAt: iso(0), endedAt: iso(1800) })], START);
    expect(held.map(({ used, busy }) => [used, busy])).toEqual([
      [8, 2],
      [0, 0],
    ]);
  });

  test("GPUs of single commands count while they are held, beside those of the job's own sandbox", () => {
    const commandGpus = [
      { gpus: 2, from: iso(100), to: iso(200) },
      { gpus: 4, from: iso(300) },
    ];
    const drawn = (more: object) =>
      gpuSteps([sampleJob("a", { startedAt: iso(0), ...more })], START + 400_000).map(({ at, used }) => [(at - START) / 1000, used]);
    expect(drawn({ commandGpus, gpu: "H100:4", gpuOfCommand: true })).toEqual([[100, 2], [200, 0], [300, 4], [400, 0]]);
    expect(drawn({ commandGpus, gpu: "T4", endedAt: iso(350) })).toEqual([[0, 1], [100, 3], [200, 1], [300, 5], [350, 0]]);
  }); // biome-ignore format: tables

  test("very many steps are drawn as fewer, which hold as much", () => {
    const hours = (steps: readonly { at: number; used: number }[]) =>
      steps.reduce((sum, { at, used }, index) => sum + used * ((steps[index + 1]?.at ?? at) - at), 0);
    fc.assert(
      fc.property(fc.array(anyJob, { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (jobs, most) => {
        const steps = gpuSteps(jobs, START + 9_000_000);
        const thin = thinSteps(steps, most);
        expect(thin.length).toBeLessThanOrEqual(Math.max(steps.length, 0));
        if (steps.length > most) expect(thin.length).toBeLessThanOrEqual(most + 2);
        expect(hours(thin)).toBeCloseTo(hours(steps), 0);
      }),
      RUNS,
    );
  });
});

describe("the lineage", () => {
  const place = { most: 400, across: 100, down: 20 };

  test("every member of a family is drawn once, right of its parent, with the cost of all below it", () => {
    const members = fc.array(fc.record({ parent: fc.option(nat(40)), usd: nat(9) }), { maxLength: 40 });
    fc.assert(
      fc.property(members, (all) => {
        const { nodes, single, left } = toLineage(
          all.map(({ parent, usd: cost }, index) => ({
            id: `j${index}`,
            parent: parent === null ? undefined : `j${parent}`,
            usd: cost,
          })),
          place,
        );
        expect(nodes.length + single + left).toBe(all.length);
        expect(new Set(nodes.map(({ id }) => id)).size).toBe(nodes.length);
        expect(new Set(nodes.map(({ x, y }) => `${x} ${y}`)).size).toBe(nodes.length);
        const byID = new Map(nodes.map((node) => [node.id, node]));
        for (const { parent, x, y, usd: cost } of nodes) {
          const from = parent === null ? undefined : byID.get(parent);
          expect(y).toBeGreaterThanOrEqual(0);
          if (from) expect(x).toBe(from.x + 100);
          if (from) expect(cost).toBeLessThanOrEqual(from.usd);
        }
      }),
      RUNS,
    );
  });

  test("families that do not fit are counted, and names such as __proto__ are names", () => {
    const chain = Array.from({ length: 3_000 }, (_, index) => ({
      id: `j${index}`,
      parent: index > 0 ? `j${index - 1}` : undefined,
      usd: 1,
    }));
    const pair = [
      { id: "__proto__", usd: 1 },
      { id: "constructor", parent: "__proto__", usd: 2 },
    ];
    const { nodes, left } = toLineage([...chain, ...pair], place);
    expect(nodes.map(({ id, usd: cost, size }) => [id, cost, size])).toEqual([
      ["__proto__", 3, 2],
      ["constructor", 2, 1],
    ]);
    expect(left).toBe(3_000);
  });
});

describe("scales", () => {
  test("ticks are within the range and about as many as wanted, and a nice scale covers all of it", () => {
    const value = fc.double({ min: -1e9, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(value, value, (a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        fc.pre(high - low > 1e-9 * Math.max(1, Math.abs(low), Math.abs(high))); // finer ones are lost in rounding
        const scale = toScale([low, high], [0, 100], 5);
        expect(scale.ticks.length).toBeLessThanOrEqual(9);
        for (const tick of scale.ticks) expect(Math.abs(scale(tick) - 50)).toBeLessThanOrEqual(50.001);
        const nice = toScale([low, high], [100, 0], 5, true);
        expect(nice(low)).toBeLessThanOrEqual(100.001);
        expect(nice(high)).toBeGreaterThanOrEqual(-0.001);
      }),
      RUNS,
    );
    expect(toScale([0, 1], [0, 10], 5).ticks).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(toScale([3, 3], [0, 10], 5)(3)).toBe(5);
  });

  test("every number has a place, however large, close to another, or alone it is", () => {
    const value = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(value, fc.option(value), fc.boolean(), (a, other, isNice) => {
        const [low, high] = [Math.min(a, other ?? a), Math.max(a, other ?? a)];
        const scale = toScale([low, high], [0, 100], 5, isNice);
        for (const number of [low, high, ...scale.ticks]) expect(scale(number)).toBeFinite();
        expect(scale.ticks.length).toBeLessThan(20);
      }),
      RUNS,
    );
    for (const a of [1e20, -1e300, Number.MAX_VALUE, 5e-324]) expect(toScale([a, a], [0, 10], 5)(a)).toBeFinite();
  });

  test("times are round on the clock of the user", () => {
    const hour = 3_600_000;
    const ticks = timeTicks(START, START + 5 * 24 * hour, 6, 2 * hour);
    expect(ticks).toHaveLength(5);
    expect(ticks.every(({ at, isDay }) => isDay && (at + 2 * hour) % (24 * hour) === 0)).toBe(true);
    expect(timeTicks(START, START + 60_000, 6, 0).map(({ at }) => (at - START) / 1000)).toEqual([
      0, 10, 20, 30, 40, 50, 60,
    ]);
    expect(timeTicks(0, 1e15, 6, 0).length).toBeLessThan(1_000);
  });

  test("a line has a gap where a value cannot be drawn", () => {
    expect(toPath([[0, 1], [1, 2], null, [3, 4.06]])).toBe("M0,1L1,2M3,4.1");
  });

  test("what is too narrow to be seen of a line has dots at its ends", () => {
    expect(toDots([[0, 1], [9, 2], null, [13, 4.06], null, null, [17, 8]])).toBe("M13,4.1h0M17,8h0");
    expect(
      toDots([
        [5, 1],
        [5.001, 7],
        [5.002, 3],
      ]),
    ).toBe("M5,1h0M5,3h0");
  });

  test("ticks are called by short names that tell each from the next, whatever their size", () => {
    expect(tickLabels([-13_000_000, -12_500_000, -12_000_000])).toEqual(["−13.0M", "−12.5M", "−12.0M"]);
    expect(tickLabels([0, 200_000, 1_000_000])).toEqual(["0", "0.2M", "1.0M"]);
    expect(tickLabels([12_345_700, 12_345_750])).toEqual(["12345700", "12345750"]);
    expect(tickLabels([-0.00002, 0, 0.00002])).toEqual(["−2e-5", "0", "2e-5"]);
    expect(tickLabels([2.3455, 2.346])).toEqual(["2.3455", "2.3460"]);
    expect([2.345, 0.0345, -12_500_000, 1000, 0, 3e-7, 1 / 3].map((tick) => tickLabels([tick])[0])).toEqual(
      ["2.345", "0.0345", "−12.5M", "1000", "0", "3e-7", "0.333333"], // biome-ignore format: one line
    );
    const size = fc.double({ min: -1e12, max: 1e12, noNaN: true });
    fc.assert(
      fc.property(size, size, (from, to) => {
        const { ticks } = toScale([Math.min(from, to), Math.max(from, to)], [0, 500], 6, true);
        const labels = tickLabels(ticks);
        expect(new Set(labels).size).toBe(ticks.length);
        for (const label of labels) expect(label.length).toBeLessThan(18);
      }),
      RUNS,
    );
  });
});

test("events are read from a stream that is cut anywhere, and text of jobs ends none", () => {
  const data = ["{}", '{"a":"x\u2028y\\n\\nevent: state"}', '{"b":1}'];
  const stream = `: still here\n\n${data.map((one) => `event: change\ndata: ${one}\n\n`).join("")}`;
  fc.assert(
    fc.property(fc.array(nat(stream.length), { maxLength: 20 }), (cuts) => {
      const read = createEventReader();
      const places = [0, ...cuts.sort((a, b) => a - b), stream.length];
      const events = places.flatMap((from, index) => read(stream.slice(from, places[index + 1] ?? from)));
      expect(events).toEqual(data.map((one) => ({ event: "change", data: one })));
    }),
    RUNS,
  );
});

test("the forecast says when the ceiling is reached, where anything costs by the hour", () => {
  const spend = { usd: 5, modelUsd: 1, computeUsd: 4, budgetUsd: 25, usdPerHour: 4 };
  expect(forecastOf(spend)).toEqual({ share: 0.2, inOneHour: 9, hoursLeft: 5 });
  expect(forecastOf({ ...spend, usdPerHour: 0 }).hoursLeft).toBeNull();
  expect(forecastOf({ ...spend, budgetUsd: null })).toEqual({ share: null, inOneHour: 9, hoursLeft: null });
  expect(forecastOf({ ...spend, budgetUsd: 0 })).toEqual({ share: 1, inOneHour: 9, hoursLeft: 0 });
  expect(forecastOf({ ...spend, usd: 30 })).toEqual({ share: 1, inOneHour: 34, hoursLeft: 0 });
});

test("differences have a sign, and durations two units", () => {
  expect([0.25, -0.25, 0, undefined].map(difference)).toEqual(["+0.25", "−0.25", "0", ""]);
  expect([-0.255967, 1234.56, -0.0000123].map(difference)).toEqual(["−0.256", "+1235", "−0.0000123"]);
  expect([-1, 5_000, 65_000, 700_000, 7_500_000].map(duration)).toEqual([
    "0 s",
    "5 s",
    "1 min 5 s",
    "11 min",
    "2 h 05 min",
  ]);
});
