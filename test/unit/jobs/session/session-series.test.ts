import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Job, transition } from "../../../../src/core/job.ts";
import type { MetricPoint } from "../../../../src/core/series.ts";
import { createSessionJobs, requireJob } from "../../../../src/jobs/session/session-jobs.ts";
import { openSessionStore } from "../../../../src/jobs/store/session-store.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";
import { jobIn } from "../../views/job-in.ts";

let root = "";
let count = 0;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "series-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function open(file = join(root, "sessions", `ses_${++count}.db`)) {
  const clock = createFakeClock();
  const changes: Job[] = [];
  const openJobs = async () => {
    const store = await openSessionStore(file, clock);
    const emit = ({ job }: { readonly job: Job }) => void changes.push(job);
    const ids = (prefix: string) => `${prefix}_${++count}`;
    return createSessionJobs({ orchestrator: "ses_o", store, ids, clock, log: () => {}, changes: { emit } });
  };
  const sessionJobs = await openJobs();
  if (!sessionJobs.get("job_1"))
    sessionJobs.add([{ job: jobIn({ kind: "queued" }, { childSession: "c" }), prompt: "p" }]);
  const point = (value: MetricPoint["value"], more: Partial<MetricPoint> = {}): MetricPoint => ({
    name: "loss",
    value,
    at: clock.now(),
    source: "output",
    ...more,
  });
  const metrics = () => requireJob(sessionJobs, "job_1").metrics;
  return { sessionJobs, clock, changes, point, metrics, openJobs };
}

test("keeps in the store how many values of a long series were no finite number", async () => {
  const file = join(root, "sessions", "ses_not_finite.db");
  const { sessionJobs, clock, point } = await open(file);
  for (let step = 0; step < 1_000; step++)
    sessionJobs.addPoints("job_1", [point(step % 10 === 3 ? "NaN" : step === 500 ? "-Infinity" : step, { step })]);
  await clock.advance(1_000);
  const stored = (await openSessionStore(file, clock)).seriesOf("job_1");
  expect(stored.get("loss")?.notFinite).toEqual({ NaN: 100, "-Infinity": 1 });
});

test("what a job reports is in its series at once, and in its metrics and the store at most every second", async () => {
  const { sessionJobs, clock, changes, point, metrics, openJobs } = await open();
  changes.length = 0;
  for (let step = 0; step < 1_000; step++) sessionJobs.addPoints("job_1", [point(1_000 - step, { step })]);
  expect(sessionJobs.points("job_1", "loss").at(-1)).toMatchObject({ value: 1, step: 999, report: 1_000 });
  expect([changes.length, metrics().loss?.step]).toEqual([1, 0]);
  await clock.advance(999);
  expect(changes.length).toBe(1);
  await clock.advance(1);
  expect([changes.length, metrics().loss]).toEqual([
    2,
    { value: 1, step: 999, at: new Date(clock.now() - 1_000).toISOString(), source: "output" },
  ]);
  await clock.advance(10_000);
  expect([changes.length, clock.pending()]).toEqual([2, 0]);
  const other = await openJobs();
  expect(other.series("job_1")).toEqual(sessionJobs.series("job_1"));
  expect(other.points("job_1", "loss")).toEqual(sessionJobs.points("job_1", "loss"));
});

test("the end of a job is written with its last points, and nothing follows", async () => {
  const { sessionJobs, clock, changes, point, metrics, openJobs } = await open();
  sessionJobs.addPoints("job_1", [point("Infinity")]);
  sessionJobs.addPoints("job_1", [point("NaN", { step: 3 }), point(2, { name: "__proto__" })]);
  changes.length = 0;
  sessionJobs.update("job_1", (job) => transition(job, { kind: "cancelled", reason: null }, clock.now()));
  expect(changes).toHaveLength(1);
  expect(Object.entries(metrics()).map(([name, { value }]) => [name, value])).toEqual([
    ["loss", "NaN"],
    ["__proto__", 2],
  ]);
  expect(sessionJobs.addPoints("job_1", [point(1)])).toEqual([]);
  await clock.advance(5_000);
  expect([changes.length, sessionJobs.points("job_1", "loss").length, clock.pending()]).toEqual([1, 2, 0]);
  expect((await openJobs()).get("job_1")).toEqual(sessionJobs.get("job_1") as Job);
  expect((await openJobs()).notices()).toMatchObject([{ job: { metrics: { loss: { value: "NaN", step: 3 } } } }]);
});

test("a change of the job finds the newest values, which stand as it leaves them", async () => {
  const { sessionJobs, point, metrics } = await open();
  for (const value of [90, 50]) sessionJobs.addPoints("job_1", [point(value)]);
  sessionJobs.addPoints("job_1", [point(1, { name: "cheat" })]);
  sessionJobs.update("job_1", (job) => ({
    ...job,
    metrics: { loss: { value: job.metrics.loss?.value ?? 0, at: "", source: "clean" } },
  }));
  expect(metrics()).toEqual({ loss: { value: 50, at: "", source: "clean" } });
});

test("any other change of the job takes the newest values along", async () => {
  const { sessionJobs, point, metrics } = await open();
  sessionJobs.addPoints("job_1", [point(1)]);
  sessionJobs.addPoints("job_1", [point(2)]);
  sessionJobs.update("job_1", (job) => ({ ...job, status: "busy" }));
  expect([metrics().loss?.value, requireJob(sessionJobs, "job_1").status]).toEqual([2, "busy"]);
});

test("of one name the latest of the strongest source counts, and the series has all with their sources", async () => {
  const { sessionJobs, clock, point, metrics } = await open();
  const shown = () => [metrics().loss?.value, metrics().loss?.source];
  const add = async (...points: MetricPoint[]) => {
    sessionJobs.addPoints("job_1", points);
    await clock.advance(1_000);
  };
  await add(point(1, { source: "reported" }));
  expect(shown()).toEqual([1, "reported"]);
  await add(point(2), point(3, { source: "reported" }));
  expect(shown()).toEqual([2, "output"]);
  await add(point(4, { source: "reported" }));
  expect(shown()).toEqual([2, "output"]);
  await add(point(5));
  expect(shown()).toEqual([5, "output"]);
  const sources = sessionJobs.points("job_1", "loss").map(({ value, source }) => [value, source]);
  expect(sources).toEqual([[1, "reported"], [2, "output"], [3, "reported"], [4, "reported"], [5, "output"]]); // biome-ignore format: one line
});

test("closing stores what is new; a job that begins again goes on from there", async () => {
  const first = await open();
  for (let step = 0; step < 5; step++) first.sessionJobs.addPoints("job_1", [first.point(9, { step })]);
  first.sessionJobs.close();
  const sessionJobs = await first.openJobs();
  sessionJobs.restartSeries("job_1");
  sessionJobs.addPoints("job_1", [first.point(1, { step: 3 })]);
  expect(sessionJobs.points("job_1", "loss").map(({ step, value }) => [step, value])).toEqual([
    [0, 9],
    [1, 9],
    [2, 9],
    [3, 1],
  ]);
});

test("names the metrics that are too many", async () => {
  const { sessionJobs, point } = await open();
  const points = Array.from({ length: 102 }, (_, i) => point(i, { name: `m${i}` }));
  expect(sessionJobs.addPoints("job_1", [...points, ...points])).toEqual(["m100", "m101"]);
  expect(sessionJobs.series("job_1").size).toBe(100);
});
