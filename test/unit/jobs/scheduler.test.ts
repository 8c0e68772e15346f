import { expect, test } from "bun:test";
import { type Job, queue } from "../../../src/jobs/job.ts";
import type { JobBook } from "../../../src/jobs/job-book.ts";
import { createScheduler } from "../../../src/jobs/scheduler.ts";
import type { PoolStore } from "../../../src/jobs/store/pool-store.ts";
import { createFakeClock } from "../../support/fake-clock.ts";
import { gate } from "./lab-world.ts";

/** A scheduler over a pool in memory, whose calls can be made to fail as a full disk does. */
function openScheduler(limit = 1) {
  const clock = createFakeClock();
  const held = new Set<string>();
  const failing = new Set<string>();
  const jobs = new Map<string, Job>();
  const started: string[] = [];
  const complaints: string[] = [];
  const running = new Map<string, () => void>();
  const check = (call: string) => {
    if (failing.has(call)) throw new Error(`${call}: disk full`);
  };
  const pool = {
    acquireLease({ id }, most) {
      check("acquire");
      if (held.size >= most) return false;
      held.add(id);
      return true;
    },
    renewLeases: () => check("renew"),
    releaseLease(id) {
      check("release");
      held.delete(id);
    },
    heldLeases() {
      check("count");
      return { total: held.size, foreign: 0 };
    },
  } as Partial<PoolStore> as PoolStore;
  const book = {
    orchestrator: "ses_o",
    get: (id) => jobs.get(id),
    update(id, change) {
      check("update");
      const job = change(jobs.get(id) as Job);
      jobs.set(id, job);
      return job;
    },
  } as Partial<JobBook> as JobBook;
  let count = 0;
  const scheduler = createScheduler({
    pool,
    owner: "1:me",
    limits: { maxRunningJobs: limit },
    clock,
    ids: (prefix) => `${prefix}_${++count}`,
    log: (level, message) => complaints.push(`${level}: ${message}`),
    runJob: async (_book, id) => {
      started.push(id);
      const { passed, open } = gate();
      running.set(id, open);
      await passed;
    },
    onPressure: () => {},
  });
  const enqueue = (...ids: string[]) => {
    for (const id of ids) {
      jobs.set(id, { id, state: queue(0), startedAt: null } as Job);
      scheduler.enqueue(book, id);
    }
  };
  const finish = async (id: string) => {
    running.get(id)?.();
    await clock.advance(0);
  };
  return { clock, scheduler, held, failing, jobs, started, complaints, enqueue, finish };
}

test("jobs start first come first served, as slots are freed", async () => {
  const { clock, scheduler, started, enqueue, finish } = openScheduler(2);
  enqueue("a", "b", "c", "d");
  expect(started).toEqual([]);
  await clock.advance(0);
  expect(started).toEqual(["a", "b"]);
  expect(scheduler.place("d")).toMatchObject({ position: 2, reason: expect.stringContaining("behind 1 queued job") });
  await finish("b");
  expect(started).toEqual(["a", "b", "c"]);
  scheduler.remove("d");
  await finish("a");
  await finish("c");
  expect([started.length, scheduler.place("d"), scheduler.counts()]).toEqual([3, null, { running: 0, queued: 0 }]);
});

test("suspended, nothing more starts, and leases are freed as runs end", async () => {
  const { clock, scheduler, started, held, enqueue, finish } = openScheduler(1);
  enqueue("a", "b");
  await clock.advance(0);
  scheduler.suspend();
  await finish("a");
  await clock.advance(60_000);
  expect([started, held.size, clock.pending()]).toEqual([["a"], 0, 0]);
});

test("a job that left its state while it was queued frees the slot at once", async () => {
  const { clock, started, held, jobs, enqueue } = openScheduler(1);
  enqueue("a", "b");
  jobs.set("a", { ...(jobs.get("a") as Job), state: { kind: "cancelled", since: 0, reason: null } });
  await clock.advance(0);
  expect([started, held.size]).toEqual([["b"], 1]);
});

for (const call of ["acquire", "count", "update", "renew", "release"]) {
  test(`a store that fails for a while at "${call}" loses no job and breaks nothing`, async () => {
    const { clock, started, failing, complaints, enqueue, finish } = openScheduler(1);
    enqueue("a", "b");
    if (call === "renew" || call === "release") await clock.advance(0);
    failing.add(call);
    await clock.advance(6_000);
    if (call === "release") await finish("a");
    await clock.advance(6_000);
    failing.delete(call);
    await clock.advance(6_000);
    expect(started[0]).toBe("a");
    await finish("a");
    await clock.advance(60_000);
    expect(started).toEqual(["a", "b"]);
    await finish("b");
    expect(complaints.length).toBeGreaterThan(0);
  });
}
