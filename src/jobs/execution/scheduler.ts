import { type AdmissionLimits, createLine, type LeaseUse, type Line, type QueuePlace } from "../../core/admission.ts";
import { expectRate } from "../../core/cost.ts";
import { isHeld, type Job, transition } from "../../core/job.ts";
import type { Limits } from "../../core/limits.ts";
import { gpusWanted } from "../../core/machine-pool.ts";
import type { MachineGpus } from "../../sandboxes/machine-gpus.ts";
import type { Clock } from "../../shared/clock.ts";
import { createEmitter } from "../../shared/emitter.ts";
import type { Failure } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import type { Bursts } from "../bursts/bursts.ts";
import type { Leases } from "../queue/leases.ts";
import type { LocalQueue, QueuedJob } from "../queue/local-queue.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import type { WarmPool } from "../sandbox/warm/warm-pool.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { LeaseStore, PoolState } from "../store/lease-store.ts";
import type { JobRunner } from "./job-runner.ts";
import { createLentSlots } from "./lent-slots.ts";
import { createMachineWait } from "./machine-wait.ts";
import { createPausedJobs } from "./paused-jobs.ts";
import { countPool, lookAtPool, type PoolCounts, type PoolLook } from "./pool-look.ts";
import { placesInQueue } from "./queue-places.ts";
import { createStartBudget, type StartBudget } from "./start-budget.ts";
import type { WaitingJobs } from "./waiting-jobs.ts";

/** Starts queued jobs, in the order that admission and the budget decide, while slots and GPUs are free. */
export interface Scheduler {
  enqueue(sessionJobs: SessionJobs, jobID: string): void;
  /** Takes a job out of the queue. No-op if the job is not queued. */
  remove(jobID: string): void;
  /** Of those of these jobs that this process has queued, by job id. */
  places(jobIDs: readonly string[]): ReadonlyMap<string, QueuePlace>;
  counts(): PoolCounts;
  /** Subscribes to jobs that were queued here and that another process of their session turns out to run. */
  onHeldByOtherProcess(listener: (job: QueuedJob) => void): () => void;
  /** Starts no job from now on; leases of running jobs are kept until their executions end. */
  suspend(): void;
}

export interface SchedulerDeps {
  readonly pool: Pick<LeaseStore, "poolState" | "positions" | "queuedUntil" | "isShared" | "unsettledUntil">;
  readonly owner: string;
  readonly admissionLimits: AdmissionLimits;
  readonly limits: Pick<Limits, "budget" | "rates" | "highestRate">;
  readonly leases: Leases;
  readonly localQueue: LocalQueue;
  readonly lifecycle: Pick<SandboxLifecycle, "isUnterminated" | "parkWaiting" | "lookAhead">;
  readonly bursts: Pick<Bursts, "giveUpWaitedFor">;
  readonly runner: Pick<JobRunner, "run" | "isRunning">;
  readonly waiting: WaitingJobs;
  readonly warm: Pick<WarmPool, "reserve" | "release" | "makeWay">;
  readonly machineGpus: MachineGpus;
  readonly clock: Clock;
  readonly log: Log;
}

const CHANGED = { now: null };
/** Other processes do not announce what they release. */
const OTHER_PROCESS_POLL_MS = 2_000;

export function createScheduler(deps: SchedulerDeps): Scheduler {
  const { pool, owner, admissionLimits, limits, leases, localQueue, clock, log } = deps;
  const heldElsewhere = createEmitter<QueuedJob>((e) => log("error", "a listener failed", { reason: String(e) }));
  const lentSlots = createLentSlots({ waiting: deps.waiting, limits: admissionLimits });
  const lookNow = (state: PoolState): PoolLook => lookAtPool(state, owner, admissionLimits, clock.now());
  let stopPoll: (() => void) | null = null;
  const machine = createMachineWait({
    machineGpus: deps.machineGpus,
    limits: admissionLimits.gpus,
    onRead: () => startJobs(),
  });
  const paused = createPausedJobs(clock, ({ sessionJobs, jobID }) => {
    if (!suspended) enqueue(sessionJobs, jobID);
  });
  let isDue = false;
  let isStarting = false;
  let suspended = false;
  localQueue.onPlaceFreed(() => startJobs());
  leases.on(({ kind }) => {
    if (kind === "freed" || (kind === "cost_ended" && localQueue.hasBlocked())) startJobs();
  });
  deps.waiting.on(({ jobID, isWaiting }) => {
    if (isWaiting) startJobs();
    else leases.endBorrowing(jobID);
  });

  function startJobs(): void {
    if (suspended || isStarting) return; // a lease that a failed start gives back must not begin another round
    stopPoll?.();
    stopPoll = null;
    isStarting = true;
    try {
      startNow();
    } catch (error) {
      // A full disk or a locked file is temporary; the jobs keep their places meanwhile.
      log("error", "could not start queued jobs", { queued: localQueue.all().length, reason: String(error) });
      stopPoll = clock.after(OTHER_PROCESS_POLL_MS, startJobs);
    } finally {
      isStarting = false;
    }
  }

  function startNow(): void {
    const unsettledMs = pool.unsettledUntil() - clock.now();
    if (localQueue.all().length === 0) return;
    if (unsettledMs > 0) {
      stopPoll = clock.after(unsettledMs, startJobs);
      return;
    }
    // Asked before and after: what another process gives back in between nobody here would hear of.
    const wasShared = pool.isShared(owner, clock.now());
    const blocked = new Set<SessionJobs>();
    // Read once for all that cannot start: thousands may be queued.
    let budget = createStartBudget(limits, clock);
    let look: PoolLook | null = null;
    for (const next of localQueue.all().slice()) {
      if (!localQueue.has(next)) continue;
      const wasBlocked = localQueue.isBlocked(next);
      const mayStart = isAffordable(next, blocked, budget);
      if (wasBlocked !== localQueue.isBlocked(next) || !localQueue.has(next)) look = null; // the queue is another one now
      if (!mayStart) continue;
      look ??= lookNow(pool.poolState(clock.now()));
      const change = admit(next, look);
      if (!change) continue;
      look = change.now && lookNow(change.now);
      budget = createStartBudget(limits, clock);
    }
    if (localQueue.all().length === 0) return;
    deps.lifecycle.lookAhead();
    deps.lifecycle.parkWaiting();
    deps.warm.makeWay(couldStartJob);
    deps.bursts.giveUpWaitedFor();
    if (wasShared || pool.isShared(owner, clock.now())) stopPoll = clock.after(OTHER_PROCESS_POLL_MS, startJobs);
  }

  /** Whether a queued job that needs GPUs could start in such a pool. */
  function couldStartJob(state: PoolState): boolean {
    const line = createLine(state, admissionLimits, clock.now());
    return localQueue.all().some(({ sessionJobs, jobID }) => {
      const job = sessionJobs.get(jobID);
      const gpus = job ? gpusWanted(job) : [];
      return gpus.length > 0 && line.choose(jobID, gpus) !== null;
    });
  }

  /**
   * Whether the session's budget lets the job start.
   * @param blocked sessions in which an earlier job waits for budget: later ones wait behind it
   */
  function isAffordable(next: QueuedJob, blocked: Set<SessionJobs>, budget: StartBudget): boolean {
    const { sessionJobs, jobID } = next;
    const job = sessionJobs.get(jobID);
    if (job?.state.kind !== "queued") return true; // `admit` drops it
    const decision = budget.decide(sessionJobs, job);
    if (decision.kind === "refuse") {
      localQueue.drop(next);
      const { failure } = decision;
      sessionJobs.update(jobID, (current) => transition(current, { kind: "failed", failure }, clock.now()));
      return false;
    }
    // A run waits for no other job: that one may wait for what the run's own job holds.
    const isRunOfJob = job.startedBy !== null;
    if (decision.kind === "wait" || (blocked.has(sessionJobs) && !isRunOfJob)) {
      if (!isRunOfJob) blocked.add(sessionJobs);
      localQueue.blockOnBudget(
        next,
        decision.kind === "wait" ? decision.reason : "waiting for budget, behind another job",
      );
      return false;
    }
    localQueue.unblock(next);
    return true;
  }

  /** Fails a run that would wait forever. @returns whether it failed */
  function failIfStuck(next: QueuedJob, job: Job, state: PoolState): boolean {
    const failure = lentSlots.stuckFailure(next.sessionJobs, job, state);
    return failure !== null && fail(next, job, failure);
  }

  function fail(next: QueuedJob, job: Job, failure: Failure): true {
    localQueue.drop(next);
    next.sessionJobs.update(job.id, (current) => transition(current, { kind: "failed", failure }, clock.now()));
    return true;
  }

  /** A sandbox with GPUs that is kept ready for such jobs is set aside first, so that its GPUs are no others' than the job's. */
  function admit(next: QueuedJob, look: PoolLook): { readonly now: PoolState | null } | null {
    const job = next.sessionJobs.get(next.jobID);
    const mayReserve = job?.state.kind === "queued" && gpusWanted(job).length > 0;
    if (!mayReserve || !deps.warm.reserve(job)) return admitIn(next, look);
    const change = admitIn(next, lookNow(pool.poolState(clock.now())));
    if (!deps.runner.isRunning(job.id)) deps.warm.release(job.id);
    return change;
  }

  /** @returns null = it has changed nothing; `now`: the pool as it is then, where that is known */
  function admitIn(next: QueuedJob, { state, line, elsewhere }: PoolLook): { readonly now: PoolState | null } | null {
    const { sessionJobs, jobID } = next;
    const queued = sessionJobs.get(jobID);
    if (queued?.state.kind !== "queued") {
      localQueue.drop(next);
      if (queued && isHeld(queued.state)) heldElsewhere.emit(next);
      return CHANGED;
    }
    if (elsewhere.has(jobID)) {
      if (sessionJobs.reload(jobID).state.kind === "queued") return null; // its lease is written before its state
      localQueue.drop(next);
      heldElsewhere.emit(next);
      return CHANGED;
    }
    // Deciding by what was read spares the write lock, which all processes share.
    const gpus = gpusWanted(queued);
    const never = machine.whyNever(queued, gpus);
    if (never) return fail(next, queued, never) && CHANGED;
    if (queued.startedBy === null && !line.choose(jobID, gpus)) return null;
    const use = (now: PoolState, place: Line): LeaseUse | null => {
      const choice = place.choose(jobID, gpus);
      return choice ? { slots: 1, ...choice } : lentSlots.useFor(sessionJobs, queued, now);
    };
    if (!use(state, line)) return failIfStuck(next, queued, state) ? CHANGED : null;
    let others: PoolState = state;
    const lease = leases.acquire(queued, (now) => {
      others = now;
      return use(now, createLine(now, admissionLimits, clock.now()));
    });
    if (!lease) return CHANGED;
    localQueue.takeOut(next);
    let job: Job;
    try {
      sessionJobs.reload(jobID); // another process of the session may have run it meanwhile
      job = sessionJobs.update(jobID, (current) => {
        const starting = transition(current, { kind: "starting", leaseID: lease.id }, clock.now());
        if (starting === current) return current;
        const compute = expectRate(current.compute, limits.rates(current, lease.gpu).most);
        return { ...starting, startedAt: current.startedAt ?? clock.now(), compute };
      });
    } catch (error) {
      localQueue.putBack(next);
      leases.release(lease.id);
      throw error;
    }
    localQueue.leaveQueue(jobID);
    const isOurs = job.state.kind === "starting" && job.state.leaseID === lease.id;
    if (!isOurs && isHeld(job.state)) heldElsewhere.emit(next);
    const done = isOurs ? deps.runner.run(sessionJobs, jobID) : Promise.resolve();
    void done.finally(() => {
      // Before its lease is released, which starts others: a job that found no GPU free is in the queue again by then.
      if (!suspended && isOurs && sessionJobs.get(jobID)?.state.kind === "queued") enqueue(sessionJobs, jobID);
      // The GPUs stay with the sandbox that has them, which may outlive the execution.
      if (deps.lifecycle.isUnterminated(jobID)) leases.releaseSlot(lease.id);
      else leases.release(lease.id);
      deps.warm.release(jobID); // it may have ended before it asked for a sandbox
    });
    return { now: { leases: [...others.leases, lease], queue: others.queue } };
  }

  function enqueue(sessionJobs: SessionJobs, jobID: string): void {
    machine.lookFor(sessionJobs.get(jobID));
    const retryAt = sessionJobs.get(jobID)?.gpuWait?.retryAt ?? null;
    if (retryAt !== null && retryAt > clock.now()) {
      paused.pause({ sessionJobs, jobID }, retryAt);
      return;
    }
    paused.end(jobID);
    localQueue.add({ sessionJobs, jobID });
    leases.renew();
    // A whole batch is recorded before its first job runs: the call that started it must not wait for that.
    if (isDue) return;
    isDue = true;
    clock.after(0, () => {
      isDue = false;
      startJobs();
    });
  }

  return {
    enqueue,
    remove(jobID) {
      paused.end(jobID);
      const queued = localQueue.find(jobID);
      if (queued) localQueue.drop(queued);
    },
    places: (jobIDs) => placesInQueue({ pool, localQueue, paused: paused.all, limits: admissionLimits, clock }, jobIDs),
    counts() {
      const queued = localQueue.all().length + paused.all().length;
      return countPool(pool.poolState(clock.now()), queued, admissionLimits);
    },
    onHeldByOtherProcess: (listener) => heldElsewhere.on(listener),
    suspend() {
      suspended = true;
      stopPoll?.();
      paused.endAll();
      leases.stop();
      localQueue.suspend();
      for (const queued of [...localQueue.all()]) localQueue.drop(queued);
    },
  };
}
