import { expect, test } from "bun:test";
import { defaultOptions } from "../../../../src/config/schema.ts";
import { mark, toMeasured } from "../../../../src/core/experiments/experiment.ts";
import type { Job } from "../../../../src/core/job.ts";
import type { Measurement, RunTask } from "../../../../src/core/run-task.ts";
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
const RUN: RunTask = {
  command: "sh eval.sh",
  params: {},
  metrics: {},
  files: [],
  reuse: false,
  stop: null,
  measures: MEASURES,
};
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
