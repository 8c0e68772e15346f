import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { summarize } from "../../../src/core/experiments/noise.ts";
import type { Job, Metric } from "../../../src/core/job.ts";
import { measuredMetric, outdatedNotes, withMeasured } from "../../../src/core/measured-job.ts";
import { variablesFor } from "../../../src/core/measured-variables.ts";
import type { Measurement, MetricValue, RunTask } from "../../../src/core/run-task.ts";
import { jobIn } from "../views/job-in.ts";

const MEASURES: Measurement = {
  jobID: "job_1",
  benchmark: "loss",
  setting: "clean",
  metric: "loss",
  direction: "min",
  protect: [],
  evaluation: null,
  artifacts: [],
  seed: 1,
  turns: 1,
};
const RUN: RunTask = {
  command: "sh eval.sh",
  params: {},
  metrics: {},
  files: [],
  reuse: false,
  stop: null,
  measures: MEASURES,
};
const AT = "2026-01-01T00:00:00.000Z";
const SEVEN = { value: 7, others: new Map(), unclear: [] };
const printed = (value: MetricValue): Metric => ({ value, at: AT, source: "output" });
const run = (more: Partial<Job> = {}, task: Partial<RunTask> = {}): Job => {
  const job = jobIn({ kind: "completed", result: "" });
  const origin = { sessionID: "s", messageID: "m", callID: "call_1" };
  return { ...job, origin, ...more, task: { ...job.task, run: { ...RUN, ...task } } };
};
const repeat = (value: MetricValue, seed: number, more: Partial<Job> = {}) =>
  run({ metrics: { loss: { value, at: AT, source: "clean" } }, ...more }, { measures: { ...MEASURES, seed } });

describe("what a run has measured", () => {
  test("is its own number and those that the benchmark declares; others that it printed are not", () => {
    const metrics = { loss: printed(0), speed: printed(2), cheat: printed(1) };
    const measured = { value: 7, others: new Map([["speed", 3]]), unclear: [] };
    expect(withMeasured(run({ metrics }, { metrics: { speed: "speed:" } }), measured, AT)).toEqual({
      loss: { value: 7, at: AT, source: "clean" },
      speed: { value: 3, at: AT, source: "clean" },
    });
  });

  test("may have any name", () => {
    const measures = { ...MEASURES, metric: "__proto__" };
    const metrics = withMeasured(run({ metrics: {} }, { measures, metrics: { constructor: "c:" } }), SEVEN, AT);
    expect(Object.entries(metrics)).toEqual([["__proto__", { value: 7, at: AT, source: "clean" }]]);
  });

  test("is left alone of a run that measures nothing", () => {
    const metrics = { loss: printed(1) };
    expect(withMeasured(run({ metrics }, { measures: null }), SEVEN, AT)).toBe(metrics);
  });
});

describe("what a benchmark has measured of a job", () => {
  test("is the mean over the repeats of one call, in whatever order they end", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 9 }), (values) => {
        const all = values.map((value, n) => repeat(value, n + 1));
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        for (const one of all) expect(Number(measuredMetric(one, all)?.value)).toBeCloseTo(mean, 6);
      }),
    );
  });

  test("is the number that experiments_list shows, to the last digit", () => {
    for (const values of [
      [0.85, 0.85, 0.85, 0.85, 0.85],
      [0.1, 0.1, 0.1],
      [0.1, 0.2, 0.4],
      ["Infinity", 1],
    ] as const) {
      const all = values.map((value, n) => repeat(value, n + 1));
      expect(measuredMetric(all[0] as Job, all)?.value).toBe(summarize(values)?.mean as MetricValue);
    }
  });

  test("leaves out other calls, jobs, metrics and settings, repeats that brought nothing, and what was not measured", () => {
    const own = repeat(1, 1);
    const others = [
      repeat(50, 2, { origin: { sessionID: "s", messageID: "m", callID: "call_2" } }),
      repeat(50, 2, { origin: { sessionID: "s", messageID: "a later one", callID: "call_1" } }),
      run({ metrics: own.metrics }, { measures: { ...MEASURES, jobID: "job_2" } }),
      run({ metrics: own.metrics }, { measures: { ...MEASURES, metric: "speed" } }),
      run({ metrics: own.metrics }, { measures: { ...MEASURES, setting: "snapshot" } }),
      repeat(50, 3, { state: { kind: "running", since: 1, leaseID: "l" } }),
      repeat(50, 4, { state: { kind: "cancelled", since: 1, reason: null } }),
      run({ metrics: { loss: printed(50) } }),
      run({ metrics: {} }),
    ];
    expect(measuredMetric(own, [own, ...others])).toMatchObject({ value: 1, source: "clean" });
    expect(measuredMetric(run({ metrics: {} }), [run({ metrics: {} })])).toBeNull();
    expect(measuredMetric(run({}, { measures: null }), [own])).toBeNull();
  });

  test("is no number where a repeat was none", () => {
    const all = [repeat(1, 1), repeat("NaN", 2)];
    expect(measuredMetric(all[0] as Job, all)?.value).toBe("NaN");
    expect(measuredMetric(repeat("Infinity", 1), [repeat("Infinity", 1), repeat(3, 2)])?.value).toBe("Infinity");
  });
});

test("a number that was measured before a job's latest turn is named", () => {
  const metric = measuredMetric(repeat(1, 1), [repeat(1, 1)]) as Metric;
  expect(metric.turns).toBe(1);
  const metrics = { loss: metric, own: printed(2) };
  expect(outdatedNotes({ metrics, turns: 1 })).toEqual([]);
  expect(outdatedNotes({ metrics, turns: 2 }).join()).toContain("Measured before a message woke it: loss.");
});

describe("the variables of a measurement", () => {
  const params = { LR: 0.02, SEED: 7, NAME: "a b" };

  test("are those of the run that is measured, but for the seed, which is the benchmark's", () => {
    expect(variablesFor(run({}, { params }))).toEqual({ given: { LR: 0.02, NAME: "a b" }, notes: [] });
    expect(variablesFor(jobIn({ kind: "completed", result: "" }))).toEqual({ given: {}, notes: [] });
  });

  test("are not those that an agent inside a job chose, which is said", () => {
    const { given, notes } = variablesFor(run({ startedBy: "job_0" }, { params }));
    expect(given).toEqual({});
    expect(notes.join()).toContain("The variables of job_1 (LR, NAME) are not given");
    expect(variablesFor(run({ startedBy: "job_0" }, { params: { SEED: 1 } })).notes).toEqual([]);
  });
});
