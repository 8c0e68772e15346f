import { expect, test } from "bun:test";
import { openScheduler } from "./scheduler-support.ts";

/* A job that waits for runs of its own lends them its slot, one at a time. */

test("the only slot is lent to a run of the job that holds it while that job waits, also ahead of older jobs", async () => {
  const { clock, scheduler, waiting, started, enqueue, enqueueWith, finish } = openScheduler(1);
  enqueue("parent", "older");
  await clock.advance(0);
  enqueueWith("run 1", null, "parent");
  enqueueWith("run 2", null, "parent");
  await clock.advance(200_000);
  expect(started).toEqual(["parent"]);
  const end = waiting.begin("parent");
  expect([started, scheduler.counts().running]).toEqual([["parent", "run 1"], 1]);
  await finish("run 1");
  expect([started, scheduler.counts().running]).toEqual([["parent", "run 1", "run 2"], 1]);
  end();
  expect(scheduler.counts().running).toBe(2); // the run goes on beside its job, and nobody else starts meanwhile
  await finish("run 2");
  await finish("parent");
  expect(started.at(-1)).toBe("older");
});

test("a job that does not wait lends nothing, and no job lends its slot to runs of another", async () => {
  const { clock, waiting, started, enqueue, enqueueWith } = openScheduler(1);
  enqueue("parent");
  await clock.advance(0);
  enqueueWith("run of another", null, "another");
  waiting.begin("parent");
  waiting.begin("parent")();
  await clock.advance(200_000);
  expect(started).toEqual(["parent"]);
});

test("runs of a job that waits take free slots like others, and its own only while none of them is at work", async () => {
  const { clock, scheduler, waiting, started, enqueue, enqueueWith, finish } = openScheduler(2);
  enqueue("parent");
  await clock.advance(0);
  waiting.begin("parent");
  for (const id of ["run 1", "run 2", "run 3"]) enqueueWith(id, null, "parent");
  await clock.advance(0);
  expect([started, scheduler.counts().running]).toEqual([["parent", "run 1"], 2]);
  await finish("run 1");
  expect([started, scheduler.counts().running]).toEqual([["parent", "run 1", "run 2"], 2]);
});

test("two jobs that hold all GPUs and wait for runs on GPUs do not wait for each other for ever", async () => {
  const { clock, jobs, waiting, started, enqueueWith } = openScheduler(4);
  enqueueWith("one", "H100:4");
  enqueueWith("two", "H100:4");
  await clock.advance(0);
  enqueueWith("run of one", "H100", "one");
  enqueueWith("run of two", "H100", "two");
  await clock.advance(0);
  expect(jobs.get("run of one")?.state.kind).toBe("queued");
  waiting.begin("one");
  waiting.begin("two");
  await clock.advance(0);
  for (const id of ["run of one", "run of two"]) {
    expect(jobs.get(id)?.state).toMatchObject({ kind: "failed", failure: { code: "no_capacity", retryable: true } });
    expect(JSON.stringify(jobs.get(id)?.state)).toContain("holds H100:4 itself");
  }
  expect(started).toEqual(["one", "two"]);
});

test("a job without GPUs waits for a run on a GPU until others have ended, and runs of one job for each other", async () => {
  const { clock, jobs, waiting, started, enqueue, enqueueWith, finish } = openScheduler(3);
  enqueueWith("other", "H100:8");
  enqueue("parent");
  await clock.advance(0);
  waiting.begin("parent");
  enqueueWith("run 1", "H100:8", "parent");
  enqueueWith("run 2", "H100:8", "parent");
  await clock.advance(200_000);
  expect(jobs.get("run 1")?.state.kind).toBe("queued");
  await finish("other");
  expect(started).toEqual(["other", "parent", "run 1"]);
  await finish("run 1");
  expect(started.at(-1)).toBe("run 2");
});
