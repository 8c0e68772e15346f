import { withoutBurst } from "../../core/burst.ts";
import { settleCompute } from "../../core/cost.ts";
import { isEnded, isHeld, type Job, type Transition, transition } from "../../core/job.ts";
import { withCommandStopped } from "../../core/run-restart.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import { PromiseCache } from "../../shared/memoize-until-failure.ts";
import type { Outbox } from "../notify/outbox.ts";
import type { Leases } from "../queue/leases.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { SessionRegistry } from "../session/session-registry.ts";
import type { Lease } from "../store/lease-store.ts";
import type { PoolStore } from "../store/pool-store.ts";
import type { JobRunner } from "./job-runner.ts";
import { mayBeUnrecorded, recordMeasured } from "./record-measured.ts";
import type { Scheduler } from "./scheduler.ts";
import type { UndoneJobs } from "./undone-jobs.ts";

/**
 * Takes up what a former process left: opens sessions, goes on with their jobs, and lets the jobs of this process go
 * when it ends.
 */
export interface Recovery {
  /** The jobs of a session. At its first use, those that a former process left are taken up. */
  open(orchestrator: string): Promise<SessionJobs>;
  /** Interrupts the jobs of this process; resolves when their executions have unwound. No session is opened any more. */
  interruptAll(): Promise<void>;
}

export interface RecoveryDeps {
  readonly registry: SessionRegistry;
  readonly pool: Pick<PoolStore, "isLeaseAlive">;
  readonly leases: Pick<Leases, "keepGpu" | "on">;
  readonly scheduler: Scheduler;
  readonly runner: JobRunner;
  readonly lifecycle: Pick<SandboxLifecycle, "parkLater">;
  readonly outbox: Pick<Outbox, "look">;
  readonly undoneJobs: Pick<UndoneJobs, "look" | "held">;
  readonly parkAfterMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Another process does not announce what its jobs do; a reload, which is the usual case, is over in a moment. */
const OTHER_PROCESS_POLL_MS = 1_000;

export function createRecovery(deps: RecoveryDeps): Recovery {
  const { registry, pool, scheduler, runner, lifecycle, clock, log } = deps;
  const takenUp = new PromiseCache<string, SessionJobs>();
  let suspended = false;
  deps.leases.on((event) => {
    if (event.kind !== "lapsed" || event.lease.slots === 0) return;
    letGoIfTaken(event.lease).catch((error) =>
      log("error", "could not let go of a job of another process", { reason: String(error) }),
    );
  });
  scheduler.onHeldByOtherProcess(({ sessionJobs, jobID }) => followOtherProcess(sessionJobs, jobID));

  async function takeUp(orchestrator: string): Promise<SessionJobs> {
    const sessionJobs = await registry.open(orchestrator);
    const held = await deps.undoneJobs.held(sessionJobs);
    if (suspended) return sessionJobs; // its state file is closed
    const inOrder = [...sessionJobs.all()].sort((a, b) => a.state.since - b.state.since);
    // Queued jobs keep their places: what is taken up below queues behind them.
    for (const job of inOrder)
      if (job.state.kind === "queued" && !held.has(job.id)) scheduler.enqueue(sessionJobs, job.id);
    for (const job of inOrder) {
      if (isHeld(job.state) || job.state.kind === "interrupted") followOtherProcess(sessionJobs, job.id);
      if (!isHeld(job.state)) takeUpSandbox(sessionJobs, job);
      if (mayBeUnrecorded(sessionJobs, job)) recordMeasured(sessionJobs, job.id);
    }
    deps.outbox.look(orchestrator);
    if (inOrder.length > 0) clock.after(0, () => deps.undoneJobs.look(orchestrator)); // once the session is in use
    return sessionJobs;
  }

  /** Of a job that nobody runs. */
  function takeUpSandbox(sessionJobs: SessionJobs, job: Job): void {
    if (isEnded(job.state) && job.sandbox.kind === "live") {
      deps.leases.keepGpu(job);
      lifecycle.parkLater(sessionJobs, job.id, deps.parkAfterMs); // its process ended before the time was up
    }
    if (job.sandbox.kind !== "live") settle(sessionJobs, job);
    if (isEnded(job.state)) settleBurst(sessionJobs, job);
  }

  /** A process may die between the termination of a sandbox and its record. */
  function settle(sessionJobs: SessionJobs, { id, compute }: Job): void {
    const settled = settleCompute(compute, clock.now());
    if (settled !== compute) sessionJobs.update(id, (job) => ({ ...job, compute: settled }));
  }

  /** Nor does a job that has ended use a GPU any more: garbage collection ends the sandbox. */
  function settleBurst(sessionJobs: SessionJobs, { id, burst, compute }: Job): void {
    if (burst || compute.burst) sessionJobs.update(id, (job) => withoutBurst(job, clock.now()));
  }

  /** A job that another process runs, or ran: takes it up once its lease is free, unless it has ended. */
  function followOtherProcess(sessionJobs: SessionJobs, jobID: string): void {
    const job = sessionJobs.reload(jobID);
    if (isHeld(job.state) && !pool.isLeaseAlive(job.state.leaseID, clock.now())) {
      const left = interruptJob(sessionJobs, jobID);
      if (isEnded(left.state)) takeUpSandbox(sessionJobs, left);
    }
    const state = sessionJobs.get(jobID)?.state.kind;
    if (state === "interrupted") resumeJob(sessionJobs, jobID);
    if (state === "queued") scheduler.enqueue(sessionJobs, jobID); // the other process has just resumed it, and may die
    if (!isHeld(job.state) || sessionJobs.get(jobID) !== job) return;
    clock.after(OTHER_PROCESS_POLL_MS, () => {
      if (suspended || !registry.inUse(sessionJobs.orchestrator)) return; // its state file is closed
      try {
        followOtherProcess(sessionJobs, jobID);
      } catch (error) {
        log("error", "could not follow a job of another process", { jobID, reason: String(error) });
      }
    });
  }

  /** Another process took the job up while this one could not renew its lease: the job, its sandbox and its end are not ours. */
  async function letGoIfTaken({ id, orchestrator, jobID }: Lease): Promise<void> {
    const sessionJobs = await registry.inUse(orchestrator);
    if (suspended || !sessionJobs?.get(jobID)) return;
    const { state } = sessionJobs.reload(jobID);
    if (isHeld(state) && state.leaseID === id) return;
    log("warn", "another process has taken a job up", { jobID });
    await runner.stop(jobID);
    if (isHeld(state)) followOtherProcess(sessionJobs, jobID);
  }

  function resumeJob(sessionJobs: SessionJobs, jobID: string): void {
    sessionJobs.update(jobID, (job) => transition(job, { kind: "queued" }, clock.now()));
    scheduler.enqueue(sessionJobs, jobID);
  }

  /** One that was being stopped, at its time limit for instance, has had its time: it ends, and does not go on later. */
  function interruptJob(sessionJobs: SessionJobs, jobID: string, toLeft = (job: Job): Job => job): Job {
    const words = runner.lastWords(jobID);
    return sessionJobs.update(jobID, (job) => {
      const { stopFailure } = job;
      const to: Transition = stopFailure ? { kind: "failed", failure: stopFailure, ...words } : { kind: "interrupted" };
      return transition(stopFailure ? job : toLeft(job), to, clock.now());
    });
  }

  return {
    async open(orchestrator) {
      if (suspended) return registry.open(orchestrator); // which refuses it
      // A session that was deleted meanwhile, and is used again, is opened anew.
      if (!registry.inUse(orchestrator)) takenUp.delete(orchestrator);
      return takenUp.getOrMake(orchestrator, () => takeUp(orchestrator));
    },
    async interruptAll() {
      suspended = true;
      registry.suspend();
      const stopping: Promise<unknown>[] = [];
      for (const sessionJobs of await registry.allInUse()) {
        for (const { id, state } of sessionJobs.all()) {
          // First, so that the unwinding execution finds the job settled. Jobs of another process are not ours to interrupt.
          if (isHeld(state) && runner.isRunning(id)) {
            try {
              interruptJob(sessionJobs, id, withCommandStopped);
            } catch (error) {
              log("error", "could not interrupt a job", { jobID: id, reason: String(error) }); // others are, all the same
            }
          }
          stopping.push(runner.stop(id)); // also of ended jobs: a cancelled one may still unwind, and it writes
        }
      }
      await Promise.all(stopping);
    },
  };
}
