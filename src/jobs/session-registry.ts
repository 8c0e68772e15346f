import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Clock } from "../shared/clock.ts";
import { PluginError } from "../shared/error-code.ts";
import type { IdGenerator } from "../shared/ids.ts";
import type { Log } from "../shared/log.ts";
import { settleCompute } from "./core/cost.ts";
import { isEnded, isHeld, type Job, transition } from "./core/job.ts";
import type { JobRunner } from "./execution/job-runner.ts";
import type { Scheduler } from "./execution/scheduler.ts";
import type { Outbox } from "./notify/outbox.ts";
import type { ProjectTrees } from "./project/trees.ts";
import type { SandboxLifecycle } from "./sandbox/lifecycle.ts";
import type { Snapshots } from "./sandbox/snapshots.ts";
import { createSessionJobs, type JobChange, type SessionJobs } from "./session/session-jobs.ts";
import type { PoolStore } from "./store/pool-store.ts";
import { openSessionStore, type SessionStore, sessionFile } from "./store/session-store.ts";
import { allAside } from "./store/set-aside.ts";

/** The sessions whose jobs this process knows: each is opened on first use, and what a former process left taken up. */
export interface SessionRegistry {
  open(orchestrator: string): Promise<SessionJobs>;
  /** The book of a session that is in use here; null for any other. */
  inUse(orchestrator: string): Promise<SessionJobs> | null;
  /** Where damaged files of the session's jobs went, if they were found damaged here. */
  damaged(orchestrator: string): readonly string[];
  /** A job that another process runs, or ran: takes it up once its lease is free, unless it has ended. */
  followOtherProcess(sessionJobs: SessionJobs, jobID: string): void;
  /** Ends a deleted session's jobs, sandboxes and snapshots, and removes its store. */
  forget(orchestrator: string): Promise<void>;
  /** Interrupts the jobs of this process; resolves when their runs have unwound. Nothing is opened any more. */
  interruptAll(): Promise<void>;
  close(): Promise<void>;
}

export interface SessionRegistryDeps {
  readonly pool: PoolStore;
  readonly scheduler: Scheduler;
  readonly runner: JobRunner;
  readonly lifecycle: SandboxLifecycle;
  readonly snapshots: Snapshots;
  readonly trees: ProjectTrees;
  readonly outbox: Outbox;
  readonly stateDir: string;
  readonly parkAfterMs: number;
  readonly onChange: (sessionJobs: SessionJobs, change: JobChange) => void;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
}

/** Another process tells nobody here what its jobs do; a reload, which is the usual case, is over in a moment. */
const OTHER_PROCESS_POLL_MS = 1_000;

export function createSessionRegistry(deps: SessionRegistryDeps): SessionRegistry {
  const { pool, scheduler, runner, lifecycle, clock, log } = deps;
  const registry = new Map<string, Promise<SessionJobs>>();
  const stores = new Map<string, SessionStore>();
  let suspended = false;

  async function openBook(orchestrator: string): Promise<SessionJobs> {
    const store = await openSessionStore(sessionFile(deps.stateDir, orchestrator), clock);
    stores.set(orchestrator, store);
    for (const aside of store.damaged()) log("error", "a damaged state file was set aside", { orchestrator, aside });
    const sessionJobs: SessionJobs = createSessionJobs({
      orchestrator,
      store,
      ids: deps.ids,
      onChange: (change) => deps.onChange(sessionJobs, change),
    });
    const inOrder = [...sessionJobs.all()].sort((a, b) => a.state.since - b.state.since);
    // Those that wait keep their places: what is taken up again below queues behind them.
    for (const job of inOrder) if (job.state.kind === "queued") scheduler.enqueue(sessionJobs, job.id);
    for (const job of inOrder) {
      if (isHeld(job.state) || job.state.kind === "interrupted") followOtherProcess(sessionJobs, job.id);
      else if (isEnded(job.state) && job.sandbox.kind === "live") {
        scheduler.keepGpu(job);
        lifecycle.parkLater(sessionJobs, job.id, deps.parkAfterMs); // its time was cut short
      }
      if (!isHeld(job.state) && job.sandbox.kind !== "live") settle(sessionJobs, job);
    }
    deps.outbox.look(orchestrator);
    return sessionJobs;
  }

  /** A process may die between the end of a sandbox and its record. */
  function settle(sessionJobs: SessionJobs, { id, compute }: Job): void {
    const settled = settleCompute(compute, clock.now());
    if (settled !== compute) sessionJobs.update(id, (job) => ({ ...job, compute: settled }));
  }

  function open(orchestrator: string): Promise<SessionJobs> {
    if (suspended)
      throw new PluginError("cancelled", "OpenCode is reloading or ending; try again.", { retryable: true });
    let opening = registry.get(orchestrator);
    if (!opening) {
      opening = openBook(orchestrator).catch((error) => {
        registry.delete(orchestrator);
        throw error;
      });
      registry.set(orchestrator, opening);
    }
    return opening;
  }

  function followOtherProcess(sessionJobs: SessionJobs, jobID: string): void {
    const job = sessionJobs.reload(jobID);
    if (isHeld(job.state) && !pool.isLeaseAlive(job.state.leaseID, clock.now())) interruptJob(sessionJobs, jobID);
    if (sessionJobs.get(jobID)?.state.kind === "interrupted") resumeJob(sessionJobs, jobID);
    if (!isHeld(job.state) || sessionJobs.get(jobID) !== job) return;
    clock.after(OTHER_PROCESS_POLL_MS, () => {
      if (suspended || !registry.has(sessionJobs.orchestrator)) return; // the stores are closed
      try {
        followOtherProcess(sessionJobs, jobID);
      } catch (error) {
        log("error", "could not follow a job of another process", { jobID, reason: String(error) });
      }
    });
  }

  function resumeJob(sessionJobs: SessionJobs, jobID: string): void {
    sessionJobs.update(jobID, (job) => transition(job, { kind: "queued" }, clock.now()));
    scheduler.enqueue(sessionJobs, jobID);
  }

  function interruptJob(sessionJobs: SessionJobs, jobID: string): void {
    sessionJobs.update(jobID, (job) => transition(job, { kind: "interrupted" }, clock.now()));
  }

  const all = async () =>
    (await Promise.all([...registry.values()].map((one) => one.catch(() => null)))).filter(isBook);

  return {
    open,
    inUse: (orchestrator) => registry.get(orchestrator) ?? null,
    damaged: (orchestrator) => stores.get(orchestrator)?.damaged() ?? [],
    followOtherProcess,
    async forget(orchestrator) {
      const file = sessionFile(deps.stateDir, orchestrator);
      if (!registry.has(orchestrator) && !existsSync(file)) return;
      const gone = await open(orchestrator);
      for (const job of gone.all()) {
        scheduler.remove(job.id);
        await runner.stop(job.id);
        await lifecycle.discard(gone, job.id);
        await deps.trees.forgetJob(job);
      }
      await deps.snapshots.removeAll(orchestrator);
      registry.delete(orchestrator);
      stores.delete(orchestrator);
      gone.close();
      const all = ["", "-wal", "-shm"].map((suffix) => file + suffix).concat(allAside(file));
      for (const path of all) await rm(path, { force: true });
    },
    async interruptAll() {
      suspended = true;
      const stopping: Promise<void>[] = [];
      for (const sessionJobs of await all()) {
        for (const { id, state } of sessionJobs.all()) {
          // First, so that the unwinding run finds the job settled. What another process runs is not ours to interrupt.
          if (isHeld(state) && runner.isRunning(id)) interruptJob(sessionJobs, id);
          stopping.push(runner.stop(id)); // also of ended jobs: a cancelled one may still unwind, and it writes
        }
      }
      await Promise.all(stopping);
    },
    async close() {
      for (const sessionJobs of await all()) sessionJobs.close();
    },
  };
}

const isBook = (sessionJobs: SessionJobs | null): sessionJobs is SessionJobs => sessionJobs !== null;
