import { createAccount } from "../../../../src/core/account.ts";
import { NO_COMPUTE } from "../../../../src/core/cost.ts";
import { initialState, type Job } from "../../../../src/core/job.ts";
import type { Limits } from "../../../../src/core/limits.ts";
import { createScheduler } from "../../../../src/jobs/execution/scheduler.ts";
import { createWaitingJobs } from "../../../../src/jobs/execution/waiting-jobs.ts";
import { createLeases } from "../../../../src/jobs/queue/leases.ts";
import { createLocalQueue } from "../../../../src/jobs/queue/local-queue.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import { noGpus } from "../../../../src/sandboxes/machine-gpus.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";
import { createMemoryLeaseStore, type LeaseStoreCall } from "../queue/memory-lease-store.ts";
import { gate } from "../runtime-world.ts";

/** A scheduler over stores in memory, whose calls can be made to fail as they do on a full disk. */
export function openScheduler(limit = 1, money: Partial<Pick<Limits, "budget" | "highestRate">> = {}) {
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
    accounts: () => createAccount(jobs.values()).state(),
    get: (id) => jobs.get(id),
    reload: (id) => jobs.get(id),
    update(id, change) {
      if (failing.has("update")) throw new Error("update: disk full");
      const job = change(jobs.get(id) as Job);
      jobs.set(id, job);
      return job;
    },
  } as Partial<SessionJobs> as SessionJobs;
  /** Runs in every look at the pool, once it is known which jobs may start. */
  const inLook = { does: () => {} };
  let count = 0;
  const log = (level: string, message: string) => void loggedProblems.push(`${level}: ${message}`);
  const ids = (prefix: string) => `${prefix}_${++count}`;
  const owner = "1:me";
  const admissionLimits = { maxRunningJobs: limit, gpus: { total: 10, H100: 8 } };
  const localQueue = createLocalQueue({ pool, owner, clock, log });
  const leases = createLeases({ pool, localQueue, limits: admissionLimits, owner, clock, ids, log });
  const waiting = createWaitingJobs(log);
  const scheduler = createScheduler({
    warm: { reserve: () => false, release: () => {}, makeWay: () => {} },
    pool,
    owner,
    admissionLimits,
    limits: {
      budget: { ceilingUsd: null, warnAt: 1, rescueMs: 0 },
      rates: () => ({ least: 0, most: 0 }),
      highestRate: () => 0,
      ...money,
    },
    leases,
    localQueue,
    lifecycle: { isUnterminated: (id) => unterminated.has(id), parkWaiting: () => inLook.does(), lookAhead: () => {} },
    bursts: { giveUpWaitedFor: () => {} },
    runner: {
      async run(_sessionJobs, id) {
        started.push(id);
        const { passed, open } = gate();
        running.set(id, open);
        await passed;
      },
      isRunning: (id) => running.has(id),
    },
    waiting,
    machineGpus: noGpus("a test's machine"),
    clock,
    log,
  });
  /** @param startedBy the job whose agent started it */
  const enqueueWith = (id: string, gpu: string | null, startedBy: string | null = null) => {
    jobs.set(id, {
      id,
      orchestrator: "ses_o",
      startedBy,
      state: initialState(null, clock.now()),
      startedAt: null,
      task: { gpu },
      compute: NO_COMPUTE,
      modelUsd: 0,
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
    waiting,
    leases,
    pool,
    unterminated,
    inLook,
    failing,
    jobs,
    started,
    loggedProblems,
    enqueue,
    enqueueWith,
    finish,
  };
}
