import { expect, test } from "bun:test";
import { type GpuRequest, gpusOf } from "../../../../src/config/gpu.ts";
import { NO_COMPUTE } from "../../../../src/jobs/core/cost.ts";
import { initialState, type Job } from "../../../../src/jobs/core/job.ts";
import { createScheduler } from "../../../../src/jobs/execution/scheduler.ts";
import { createLeases } from "../../../../src/jobs/queue/leases.ts";
import { createLocalQueue } from "../../../../src/jobs/queue/local-queue.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import type { Lease, LeaseStore } from "../../../../src/jobs/store/lease-store.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";
import { gate } from "../runtime-world.ts";

/** A scheduler over a pool in memory, whose calls can be made to fail as a full disk does. */
function openScheduler(limit = 1) {
  const clock = createFakeClock();
  const held = new Map<string, Lease>();
  const queue = new Map<string, { owner: string; since: number; gpus: readonly GpuRequest[] }>();
  const unterminated = new Set<string>();
  const failing = new Set<string>();
  const jobs = new Map<string, Job>();
  const started: string[] = [];
  const complaints: string[] = [];
  const running = new Map<string, () => void>();
  const check = (call: string) => {
    if (failing.has(call)) throw new Error(`${call}: disk full`);
  };
  const pool: LeaseStore = {
    unsettledUntil: () => 0,
    poolState() {
      check("count");
      return { leases: [...held.values()], queue: [...queue].map(([jobID, one]) => ({ jobID, ...one })) };
    },
    acquireLease(request, decide) {
      check("acquire");
      const leases = [...held.values()];
      const use = decide({ leases, queue: pool.poolState(0).queue });
      if (!use) return null;
      for (const { id, jobID } of leases) if (jobID === request.jobID) held.delete(id);
      held.set(request.id, { ...request, ...use });
      return { ...request, ...use };
    },
    changeLease(lease, use, decide) {
      if (!decide({ leases: [...held.values()].filter(({ id }) => id !== lease.id), queue: [] })) return false;
      held.set(lease.id, { ...lease, ...use });
      return true;
    },
    renewLeases(leases) {
      check("renew");
      for (const lease of leases) held.set(lease.id, lease);
    },
    releaseLease(id) {
      check("release");
      held.delete(id);
    },
    isLeaseAlive: (id) => held.has(id),
    enqueue(jobs) {
      check("enqueue");
      for (const { jobID, gpu, ...one } of jobs) {
        if (!queue.has(jobID)) queue.set(jobID, { ...one, gpus: gpusOf(gpu) });
      }
    },
    leaveQueue(jobID) {
      check("leave");
      queue.delete(jobID);
    },
    askToCancel: () => {},
    takeCancels: () => [],
  };
  const sessionJobs = {
    orchestrator: "ses_o",
    all: () => [...jobs.values()],
    get: (id) => jobs.get(id),
    reload: (id) => jobs.get(id),
    update(id, change) {
      check("update");
      const job = change(jobs.get(id) as Job);
      jobs.set(id, job);
      return job;
    },
  } as Partial<SessionJobs> as SessionJobs;
  let count = 0;
  const log = (level: string, message: string) => void complaints.push(`${level}: ${message}`);
  const ids = (prefix: string) => `${prefix}_${++count}`;
  const owner = "1:me";
  const admissionLimits = { maxRunningJobs: limit, gpus: { total: 10, H100: 8 } };
  const localQueue = createLocalQueue({ pool, owner, clock, log });
  const leases = createLeases({ pool, localQueue, limits: admissionLimits, owner, clock, ids, log });
  const scheduler = createScheduler({
    pool,
    owner,
    admissionLimits,
    limits: { budget: { ceilingUsd: null, warnAt: 1, rescueMs: 0 }, rate: () => 0, highestRate: () => 0 },
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
  const enqueue = (...ids: string[]) => {
    for (const id of ids) enqueueWith(id, null);
  };
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
  const finish = async (id: string) => {
    running.get(id)?.();
    await clock.advance(0);
  };
  return {
    clock,
    scheduler,
    leases,
    held,
    queue,
    unterminated,
    failing,
    jobs,
    started,
    complaints,
    enqueue,
    enqueueWith,
    finish,
  };
}

test("jobs start first come first served, as slots are freed", async () => {
  const { clock, scheduler, started, queue, enqueue, finish } = openScheduler(2);
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
  expect([started.length, scheduler.place("d"), queue.size]).toEqual([3, null, 0]);
  expect(scheduler.counts()).toMatchObject({ running: 0, queued: 0 });
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

test("the GPUs of a job that ended are held until its sandbox has, its slot is not", async () => {
  const { clock, scheduler, leases, started, held, unterminated, enqueue, enqueueWith, finish } = openScheduler(1);
  enqueueWith("a", "H100:8");
  await clock.advance(0);
  unterminated.add("a");
  enqueueWith("b", "H100");
  enqueue("c");
  expect(scheduler.counts().gpus).toEqual({ total: { used: 8, limit: 10 }, H100: { used: 8, limit: 8 } });
  await finish("a");
  expect(started).toEqual(["a", "c"]);
  expect(scheduler.place("b")).toEqual({ position: 1, reason: "waiting for a running slot (1 of 1 in use)" });
  await finish("c");
  expect(scheduler.place("b")).toEqual({ position: 1, reason: "waiting for 1 H100 (8 of 8 in use)" });
  await clock.advance(40_000);
  expect([...held.values()]).toMatchObject([{ jobID: "a", slots: 0, gpu: { type: "H100", count: 8 } }]);
  unterminated.delete("a");
  leases.sandboxTerminated("a");
  expect(started).toEqual(["a", "c", "b"]);
});

test("a job woken while its sandbox lingers takes its own GPUs over", async () => {
  const { clock, started, held, unterminated, enqueueWith, finish } = openScheduler(1);
  enqueueWith("a", "H100:8");
  await clock.advance(0);
  unterminated.add("a");
  await finish("a");
  enqueueWith("a", "H100:8");
  await clock.advance(0);
  expect(started).toEqual(["a", "a"]);
  expect([...held.values()]).toMatchObject([{ jobID: "a", slots: 1, gpu: { count: 8 } }]);
});

test("a lease follows the GPU that was granted, where the limits allow it", async () => {
  const { clock, leases, held, jobs, started, enqueueWith } = openScheduler(3);
  enqueueWith("a", "H100:8|H200:8");
  enqueueWith("b", "H100:8");
  await clock.advance(0);
  expect(started).toEqual(["a"]);
  const a = jobs.get("a") as Job;
  const [h200, b200] = gpusOf("H200:8|B200:8") as [GpuRequest, GpuRequest];
  expect(leases.claimGpu(a, { ...b200, count: 11 })).toBe(false);
  expect(leases.claimGpu(a, h200)).toBe(true);
  expect([...held.values()].map(({ jobID, gpu }) => [jobID, gpu?.type])).toEqual([["a", "H200"]]);
  expect(started).toEqual(["a"]); // eight of ten are still held
});

for (const call of ["acquire", "count", "update", "renew", "release", "enqueue", "leave"]) {
  test(`a store that fails for a while at "${call}" loses no job and breaks nothing`, async () => {
    const { clock, started, failing, complaints, enqueue, finish } = openScheduler(1);
    if (call === "enqueue") failing.add(call);
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
