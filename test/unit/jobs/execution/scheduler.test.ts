import { expect, test } from "bun:test";
import { type GpuRequest, gpusOf } from "../../../../src/config/gpu.ts";
import { NO_COMPUTE } from "../../../../src/core/cost.ts";
import { initialState, type Job } from "../../../../src/core/job.ts";
import { createScheduler } from "../../../../src/jobs/execution/scheduler.ts";
import { createLeases } from "../../../../src/jobs/queue/leases.ts";
import { createLocalQueue } from "../../../../src/jobs/queue/local-queue.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";
import { createMemoryLeaseStore, type LeaseStoreCall } from "../queue/memory-lease-store.ts";
import { gate } from "../runtime-world.ts";

/** A scheduler over stores in memory, whose calls can be made to fail as they do on a full disk. */
function openScheduler(limit = 1) {
  const clock = createFakeClock();
  const pool = createMemoryLeaseStore();
  const unterminated = new Set<string>();
  const jobs = new Map<string, Job>();
  const started: string[] = [];
  const loggedProblems: string[] = [];
  const running = new Map<string, () => void>();
  const failing = pool.failing as Set<LeaseStoreCall | "update">;
  const sessionJobs = {
    orchestrator: "ses_o",
    all: () => [...jobs.values()],
    get: (id) => jobs.get(id),
    reload: (id) => jobs.get(id),
    update(id, change) {
      if (failing.has("update")) throw new Error("update: disk full");
      const job = change(jobs.get(id) as Job);
      jobs.set(id, job);
      return job;
    },
  } as Partial<SessionJobs> as SessionJobs;
  let count = 0;
  const log = (level: string, message: string) => void loggedProblems.push(`${level}: ${message}`);
  const ids = (prefix: string) => `${prefix}_${++count}`;
  const owner = "1:me";
  const admissionLimits = { maxRunningJobs: limit, gpus: { total: 10, H100: 8 } };
  const localQueue = createLocalQueue({ pool, owner, clock, log });
  const leases = createLeases({ pool, localQueue, limits: admissionLimits, owner, clock, ids, log });
  const scheduler = createScheduler({
    pool,
    owner,
    admissionLimits,
    limits: {
      budget: { ceilingUsd: null, warnAt: 1, rescueMs: 0 },
      rates: () => ({ least: 0, most: 0 }),
      highestRate: () => 0,
    },
    leases,
    localQueue,
    lifecycle: { isUnterminated: (id) => unterminated.has(id), parkWaiting: () => {} },
    runner: {
      async run(_sessionJobs, id) {
        started.push(id);
        const { passed, open } = gate();
        running.set(id, open);
        await passed;
      },
    },
    clock,
    log,
  });
  const enqueueWith = (id: string, gpu: string | null) => {
    jobs.set(id, {
      id,
      orchestrator: "ses_o",
      state: initialState(null, clock.now()),
      startedAt: null,
      task: { gpu },
      compute: NO_COMPUTE,
    } as Job);
    scheduler.enqueue(sessionJobs, id);
  };
  const enqueue = (...ids: string[]) => {
    for (const id of ids) enqueueWith(id, null);
  };
  const finish = async (id: string) => {
    running.get(id)?.();
    await clock.advance(0);
  };
  return {
    clock,
    scheduler,
    leases,
    pool,
    unterminated,
    failing,
    jobs,
    started,
    loggedProblems,
    enqueue,
    enqueueWith,
    finish,
  };
}

test("starts jobs in the order of arrival, as slots are freed", async () => {
  const { clock, scheduler, started, pool, enqueue, finish } = openScheduler(2);
  enqueue("a", "b", "c", "d");
  expect(started).toEqual([]);
  await clock.advance(0);
  expect(started).toEqual(["a", "b"]);
  expect(scheduler.places().get("d")).toMatchObject({
    position: 2,
    reason: expect.stringContaining("behind 1 queued job"),
  });
  await finish("b");
  expect(started).toEqual(["a", "b", "c"]);
  scheduler.remove("d");
  await finish("a");
  await finish("c");
  expect([started.length, scheduler.places().get("d"), pool.queue.size]).toEqual([3, undefined, 0]);
  expect(scheduler.counts()).toMatchObject({ running: 0, queued: 0 });
});

test("starts nothing once it is suspended, and frees leases as runs end", async () => {
  const { clock, scheduler, started, pool, enqueue, finish } = openScheduler(1);
  enqueue("a", "b");
  await clock.advance(0);
  scheduler.suspend();
  await finish("a");
  await clock.advance(60_000);
  expect([started, pool.leases.size, clock.pending()]).toEqual([["a"], 0, 0]);
});

test("frees the slot at once of a job that was cancelled while it was queued", async () => {
  const { clock, started, pool, jobs, enqueue } = openScheduler(1);
  enqueue("a", "b");
  jobs.set("a", { ...(jobs.get("a") as Job), state: { kind: "cancelled", since: 0, reason: null } });
  await clock.advance(0);
  expect([started, pool.leases.size]).toEqual([["b"], 1]);
});

test("holds the GPUs of an ended job until its sandbox is terminated, and frees its slot at once", async () => {
  const { clock, scheduler, leases, started, pool, unterminated, enqueue, enqueueWith, finish } = openScheduler(1);
  enqueueWith("a", "H100:8");
  await clock.advance(0);
  unterminated.add("a");
  enqueueWith("b", "H100");
  enqueue("c");
  expect(scheduler.counts().gpus).toEqual({ total: { used: 8, limit: 10 }, H100: { used: 8, limit: 8 } });
  await finish("a");
  expect(started).toEqual(["a", "c"]);
  expect(scheduler.places().get("b")).toEqual({ position: 1, reason: "waiting for a running slot (1 of 1 in use)" });
  await finish("c");
  expect(scheduler.places().get("b")).toEqual({ position: 1, reason: "waiting for 1 H100 (8 of 8 in use)" });
  await clock.advance(40_000);
  expect([...pool.leases.values()]).toMatchObject([{ jobID: "a", slots: 0, gpu: { type: "H100", count: 8 } }]);
  unterminated.delete("a");
  leases.sandboxTerminated("a");
  expect(started).toEqual(["a", "c", "b"]);
});

test("gives a job that is woken before its sandbox is terminated the GPUs it already has", async () => {
  const { clock, started, pool, unterminated, enqueueWith, finish } = openScheduler(1);
  enqueueWith("a", "H100:8");
  await clock.advance(0);
  unterminated.add("a");
  await finish("a");
  enqueueWith("a", "H100:8");
  await clock.advance(0);
  expect(started).toEqual(["a", "a"]);
  expect([...pool.leases.values()]).toMatchObject([{ jobID: "a", slots: 1, gpu: { count: 8 } }]);
});

test("changes a lease to the GPU that was granted, where the limits allow it", async () => {
  const { clock, leases, pool, jobs, started, enqueueWith } = openScheduler(3);
  enqueueWith("a", "H100:8|H200:8");
  enqueueWith("b", "H100:8");
  await clock.advance(0);
  expect(started).toEqual(["a"]);
  const a = jobs.get("a") as Job;
  const [h200, b200] = gpusOf("H200:8|B200:8") as [GpuRequest, GpuRequest];
  expect(leases.claimGpu(a, { ...b200, count: 11 })).toBe(false);
  expect(leases.claimGpu(a, h200)).toBe(true);
  expect([...pool.leases.values()].map(({ jobID, gpu }) => [jobID, gpu?.type])).toEqual([["a", "H200"]]);
  expect(started).toEqual(["a"]); // eight of ten GPUs are still held
});

const CALLS = ["acquireLease", "poolState", "update", "renewLeases", "releaseLease", "enqueue", "leaveQueue"] as const;
for (const call of CALLS) {
  test(`loses no job while "${call}" of a store fails`, async () => {
    const { clock, started, failing, loggedProblems, enqueue, finish } = openScheduler(1);
    if (call === "enqueue") failing.add(call);
    enqueue("a", "b");
    if (call === "renewLeases" || call === "releaseLease") await clock.advance(0);
    failing.add(call);
    await clock.advance(6_000);
    if (call === "releaseLease") await finish("a");
    await clock.advance(6_000);
    failing.delete(call);
    await clock.advance(6_000);
    expect(started[0]).toBe("a");
    await finish("a");
    await clock.advance(60_000);
    expect(started).toEqual(["a", "b"]);
    await finish("b");
    expect(loggedProblems.length).toBeGreaterThan(0);
  });
}
