import { expect, test } from "bun:test";
import { defaultOptions } from "../../../../src/config/schema.ts";
import { type Measured, mark, toMeasured } from "../../../../src/core/experiments/experiment.ts";
import type { Job, JobState } from "../../../../src/core/job.ts";
import type { Measurement, RunTask } from "../../../../src/core/run-task.ts";
import { BARE_RUN } from "../../../../src/core/run-task-request.ts";
import { measuredRecord } from "../../../../src/jobs/store/experiment-record.ts";
import { jobIn } from "../../views/job-in.ts";

const MEASURES: Measurement = {
  jobID: "job_1",
  benchmark: "loss",
  setting: "clean",
  metric: "loss",
  direction: "min",
  protect: ["eval.sh"],
  evaluation: null,
  artifacts: [],
  seed: 1,
  turns: 1,
};
const RUN: RunTask = { ...BARE_RUN, command: "sh eval.sh", measures: MEASURES };
const { default: plain } = defaultOptions("/state").environments;
if (!plain) throw new Error("there is a default environment");

const run = (task: Partial<RunTask> = {}, more: Partial<Job> = {}): Job => {
  const job = jobIn({ kind: "completed", result: "" }, more);
  return { ...job, task: { ...job.task, run: { ...RUN, ...task } } };
};
const benchOf = (task: Partial<RunTask> = {}, environment = plain) =>
  toMeasured(run(task), { default: environment }, null)?.bench;

test("a benchmark whose numbers follow other texts, or whose environment is made otherwise, is another one", () => {
  const measures: Measurement = { ...MEASURES, setting: "snapshot" };
  const benches = [
    benchOf(),
    benchOf({ metrics: { loss: "train loss" } }),
    benchOf({ metrics: { loss: "val loss" } }),
    benchOf({}, { ...plain, setup: ["pip install numpy==1"] }),
    benchOf({}, { ...plain, setup: ["pip install numpy==2"] }),
    benchOf({}, { ...plain, image: "python:3.13" }),
    benchOf({ measures: { ...MEASURES, evaluation: "files" } }),
    benchOf({ measures }),
  ];
  expect(new Set(benches).size).toBe(benches.length);
  const texts = { loss: "val loss", speed: "it/s" };
  expect(benchOf({ metrics: texts })).toBe(benchOf({ metrics: { speed: texts.speed, loss: texts.loss } }));
  // Where a job's own files are measured, the environment has made nothing of them.
  expect(benchOf({ measures }, { ...plain, setup: ["make"] })).toBe(benchOf({ measures }));
});

test("a benchmark without texts, in an environment without a recipe, is named as it always was", () => {
  const former = ["loss", "clean", "sh eval.sh", "loss", "min", ["eval.sh"], [], "default", null];
  expect(benchOf()).toBe(mark(former));
  expect(benchOf({ measures: { ...MEASURES, evaluation: "files" } })).toBe(mark([...former, "files"]));
});

test("a measurement keeps the conditions that it was recorded with, when the environment is changed later", () => {
  const former = toMeasured(run(), { default: plain }, null);
  const later = toMeasured(run(), { default: { ...plain, setup: ["make"] } }, former);
  expect(later?.bench).toBe(former?.bench as string);
});

test("GPU seconds of a measurement are those in which it ran, without its wait for a GPU and the time in which nobody ran it", () => {
  const states: readonly (readonly [JobState, gpu: string | null])[] = [
    [{ kind: "queued", since: 0 }, null],
    [{ kind: "starting", since: 1_000, leaseID: "l" }, null],
    [{ kind: "queued", since: 0 }, null], // no GPU was free
    [{ kind: "starting", since: 7_200_000, leaseID: "l" }, null],
    [{ kind: "running", since: 7_201_000, leaseID: "l" }, "H100:8"],
    [{ kind: "completed", since: 7_261_000, result: "" }, "H100:8"],
    [{ kind: "completed", since: 7_261_000, result: "" }, "H100:8"],
  ];
  expect(secondsOf(states)).toEqual([0, 0, 0, 0, 0, 480, 480]);
  expect(
    secondsOf([
      ...states.slice(0, 5),
      [{ kind: "interrupted", since: 7_211_000 }, "H100:8"],
      [{ kind: "running", since: 9_000_000, leaseID: "l" }, "H100:8"],
      [{ kind: "completed", since: 9_001_000, result: "" }, "H100:8"],
    ]).at(-1),
  ).toBe(8);
  expect(secondsOf([...states.slice(0, 4), [{ kind: "cancelled", since: 9_000_000, reason: null }, null]]).at(-1)).toBe(
    0,
  );
});

/** What is counted of a run after each of these states. */
function secondsOf(states: readonly (readonly [JobState, gpu: string | null])[]): number[] {
  let former: Measured | null = null;
  return states.map(([state, gpu]) => {
    const job = run({}, { state, gpu, startedAt: 1_000 });
    former = toMeasured({ ...job, task: { ...job.task, gpu: "H100:8" } }, { default: plain }, former);
    return former?.gpuSeconds ?? Number.NaN;
  });
}

test("GPU seconds that an earlier version has counted stay", () => {
  const ended = run({}, { state: { kind: "completed", since: 9_000, result: "" }, gpu: "H100:8" });
  const { ranMs: _, runningSince: __, ...kept } = toMeasured(ended, { default: plain }, null) as Measured;
  const former = measuredRecord.parse({ ...kept, gpuSeconds: 72 });
  expect(toMeasured(ended, { default: plain }, former)?.gpuSeconds).toBe(72);
});
