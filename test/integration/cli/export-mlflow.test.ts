import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Job } from "../../../src/core/job.ts";
import type { Measurement } from "../../../src/core/run-task.ts";
import { JobSeries, type SeriesRecord } from "../../../src/core/series.ts";
import { openSessionStore, sessionFile } from "../../../src/jobs/store/session-store.ts";
import { serveMlflow, useTracker } from "./export-support.ts";

const tracker = useTracker();

const EXPERIMENT = "GET /api/2.0/mlflow/experiments/get-by-name";

test("sends the experiments to MLflow once, with names that it takes, and finds runs that it was not told of as made", async () => {
  const made = serveMlflow(tracker);
  expect((await tracker.report("--mlflow", tracker.url)).out).toStartWith("Sent 4 new values of 2 of");
  expect(
    [...made.runs.values()].map(({ params, metrics, update }) => [
      params,
      metrics.map(({ key, value }) => [key, value]),
      update,
    ]),
  ).toEqual([
    [
      [
        { key: "LR", value: "1" },
        { key: expect.stringMatching(/^a b__\w{8}$/), value: "x" },
      ],
      [
        ["output/loss", 2],
        [expect.stringMatching(/^output\/odd__\w{8}$/), "NaN"],
        ["clean/loss", 2.5],
      ],
      "FINISHED",
    ],
    [[], [["reported/loss", "Infinity"]], "FINISHED"],
  ]);
  expect(made.experiment).not.toContain("project_1");
  tracker.calls = [];
  expect((await tracker.report("--mlflow", tracker.url)).out).toBe(
    `Sent nothing to ${tracker.url}: nothing is new since the last export. If it has lost what it was sent, --again sends all of it once more.\n`,
  );
  expect(tracker.calls).toEqual([EXPERIMENT]);
  rmSync(join(tracker.stateDir, "exports"), { recursive: true });
  expect((await tracker.report("--mlflow", tracker.url)).code).toBe(0);
  expect(made.runs.size).toBe(2);
});

test("tells MLflow again what a job has cost once that has changed, and only then", async () => {
  const made = serveMlflow(tracker);
  const known = { description: "baseline", params: { LR: 1 }, metrics: { loss: 2 } };
  const costOf = (job: string) => made.of(job)?.tags;
  const job = tracker.world.add({ ...known, usd: 0.1 }) as Job;
  await tracker.keep(job);
  await tracker.report("--mlflow", tracker.url);
  expect(costOf(job.id)?.["opencode.usd"]).toBe("0.1");
  tracker.world.add({ ...known, id: job.id, usd: 42 });
  await tracker.world.ledger.open("ses_1");
  await tracker.report("--mlflow", tracker.url);
  expect(costOf(job.id)?.["opencode.usd"]).toBe("42");
  tracker.calls = [];
  await tracker.report("--mlflow", tracker.url);
  expect(tracker.calls).toEqual([EXPERIMENT]);
});

test.each([6_000, 500])(
  "a long parameter comes as whole as an MLflow server takes it that takes %d characters",
  async (longest) => {
    const made = serveMlflow(tracker);
    made.longest = longest;
    const params = { PROMPT: "p".repeat(5_000), ALL: "a".repeat(7_000), LR: 1 };
    const job = tracker.world.add({ description: "long", params, metrics: { loss: 1 } }) as Job;
    await tracker.keep(job);
    expect(await tracker.report("--mlflow", tracker.url)).toMatchObject({ code: 0 });
    const sent = Object.fromEntries(
      ((made.of(job.id)?.params ?? []) as { key: string; value: string }[]).map(({ key, value }) => [key, value]),
    );
    expect(sent).toEqual({
      PROMPT: longest === 6_000 ? params.PROMPT : expect.stringMatching(/^p+ … \[cut: 5000 characters/),
      ALL: expect.stringMatching(/^a+ … \[cut: 7000 characters/),
      LR: "1",
    });
  },
);

const everything = (made: ReturnType<typeof serveMlflow>) =>
  ["job_1", "job_2"].map((job) => made.of(job)?.metrics.map(({ key, value }) => [key, value]));

test("sends everything to an MLflow server that has lost it, also where it counts its experiments anew", async () => {
  const made = serveMlflow(tracker);
  await tracker.report("--mlflow", tracker.url);
  const all = everything(made);
  for (const id of ["7", "12"]) {
    made.wipe();
    made.id = id;
    expect((await tracker.report("--mlflow", tracker.url)).out).toBe(
      `Sent 4 new values of 2 of the project's 2 experiments to ${tracker.url}.\n`,
    );
    expect(everything(made)).toEqual(all);
  }
  // Somebody else has made the experiment again, and it is another one.
  made.runs.clear();
  made.id = "13";
  expect((await tracker.report("--mlflow", tracker.url)).out).toStartWith("Sent 4 new values of 2 of");
  expect(everything(made)).toEqual(all);
});

test.each(["deleted", "removed for good"])(
  "sends a run anew that was %s in MLflow, once there is something new of it",
  async (how) => {
    const made = serveMlflow(tracker);
    await tracker.report("--mlflow", tracker.url);
    const [id, run] = [...made.runs].find(([, { tags }]) => tags["opencode.job"] === "job_1") ?? [];
    if (how === "deleted" && run) run.isDeleted = true;
    else made.runs.delete(id as string);
    tracker.world.add({ measures: { jobID: "job_1", seed: 4 }, metrics: { loss: 2.4 }, source: "clean" });
    await tracker.world.ledger.open("ses_1");
    expect(await tracker.report("--mlflow", tracker.url)).toMatchObject({ code: 0 });
    expect(made.of("job_1")).toMatchObject({ params: expect.arrayContaining([{ key: "LR", value: "1" }]) });
    expect(everything(made)[0]).toHaveLength(4);
  },
);

test("says of an experiment that was deleted in MLflow that it was, and sends nothing", async () => {
  const made = serveMlflow(tracker);
  await tracker.report("--mlflow", tracker.url);
  made.isExperimentDeleted = true;
  tracker.calls = [];
  const { code, err } = await tracker.report("--mlflow", tracker.url);
  expect([code, err]).toEqual([1, expect.stringMatching(/ \(7\) was deleted there, .* restore it, or .* mlflow gc/)]);
  expect(tracker.calls).toEqual([EXPERIMENT]);
});

test("a server that takes fewer values at once than MLflow, and says so with 400, gets all of them", async () => {
  const made = serveMlflow(tracker);
  const series = new JobSeries();
  for (let step = 1; step <= 250; step++) series.add({ name: "loss", value: step, step, at: step, source: "output" });
  const store = await openSessionStore(sessionFile(tracker.stateDir, "ses_1"));
  store.saveSeries("job_1", new Map([["loss", series.record("loss") as SeriesRecord]]));
  store.close();
  const whole = tracker.answer;
  tracker.answer = (call, body, request) =>
    call.endsWith("log-batch") && (body.metrics as unknown[]).length > 200
      ? [400, { message: "A field of the entity is over the size limit. FieldName=Metrics, Limit=200" }]
      : whole(call, body, request);
  expect(await tracker.report("--mlflow", tracker.url)).toMatchObject({ code: 0, err: "" });
  expect(made.of("job_1")?.metrics.filter(({ key }) => key === "output/loss")).toHaveLength(250);
});

test("a NaN that is printed twice in one moment is sent to MLflow, with all that comes with it", async () => {
  const made = serveMlflow(tracker);
  const series = new JobSeries();
  for (const value of [1, "NaN", "NaN", 2] as const)
    series.add({ name: "loss", value, step: 5, at: 1_000, source: "output" });
  const store = await openSessionStore(sessionFile(tracker.stateDir, "ses_1"));
  store.saveSeries("job_1", new Map([["loss", series.record("loss") as SeriesRecord]]));
  store.close();
  expect(await tracker.report("--mlflow", tracker.url)).toMatchObject({ code: 0, err: "" });
  const values = made.of("job_1")?.metrics.flatMap(({ key, value }) => (key === "output/loss" ? [value] : []));
  expect(values).toEqual([1, 2, "NaN"]);
});

test("--again sends MLflow everything once more, and its store in SQL doubles nothing", async () => {
  const made = serveMlflow(tracker);
  await tracker.report("--mlflow", tracker.url);
  const all = everything(made);
  expect((await tracker.report("--mlflow", tracker.url, "--again")).out).toStartWith("Sent 4 new values of 2 of");
  expect([everything(made), made.runs.size]).toEqual([all, 2]);
});

test("MLflow's latest value is of what measured last, and an export of all doubles none", async () => {
  const made = serveMlflow(tracker);
  const measure = async (loss: number, measures: Partial<Measurement>) => {
    tracker.world.add({ measures: { jobID: "job_1", ...measures }, metrics: { loss }, source: "clean" });
    await tracker.world.ledger.open("ses_1");
  };
  for (const [loss, measures] of [
    [9, { benchmark: "another", seed: 2 }], // its repeats end in any order
    [8, { benchmark: "another", seed: 1 }],
    [7, { benchmark: "another", seed: 1 }], // again
    [6, { benchmark: "another", seed: 3, turns: 1 }],
    [5, { benchmark: "eval", seed: 1 }],
  ] as const) {
    await measure(loss, measures);
    await tracker.report("--mlflow", tracker.url);
    expect(made.latest("job_1", "clean/loss")).toBe(loss === 8 ? 9 : loss);
  }
  const steps = () => made.of("job_1")?.metrics.flatMap(({ key, step }) => (key === "clean/loss" ? [step] : []));
  expect(steps()).toEqual([3, 5, 4, 6, 9, 10]);
  await tracker.report("--mlflow", tracker.url, "--again");
  expect(steps()).toEqual([3, 5, 4, 6, 9, 10]);
});
