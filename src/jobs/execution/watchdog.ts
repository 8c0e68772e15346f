import {
  type BudgetState,
  decideBudget,
  decideJobBudget,
  type Spend,
  sessionBudgetFailure,
  taskBudgetFailure,
} from "../../core/budget.ts";
import { commandGraceMs, type DeadlineAction, decideDeadline } from "../../core/deadline.ts";
import { isHeld, type Job } from "../../core/job.ts";
import type { Limits } from "../../core/limits.ts";
import { repeatsFailure } from "../../core/repeats.ts";
import { decideRetry } from "../../core/usage-limit.ts";
import { toWrapUp } from "../../prompt/turn-text.ts";
import type { Clock } from "../../shared/clock.ts";
import { createEmitter } from "../../shared/emitter.ts";
import type { Failure } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { SessionRegistry } from "../session/session-registry.ts";
import type { JobRunner } from "./job-runner.ts";
import type { SessionActivity } from "./session-activity.ts";

/** Enforces deadlines and budgets: checks the running jobs of a session at every change and when something falls due. */
export interface Watchdog {
  /** The session's spend when it has come close to the ceiling, handed out once; null otherwise. */
  takeWarning(orchestrator: string): Spend | null;
  onBudgetWarning(listener: (warning: BudgetWarning) => void): () => void;
  forget(orchestrator: string): void;
  suspend(): void;
}

export interface WatchdogDeps {
  readonly limits: Limits;
  readonly runner: JobRunner;
  readonly lifecycle: Pick<SandboxLifecycle, "park" | "checkpoint">;
  readonly activity: SessionActivity;
  readonly registry: Pick<SessionRegistry, "inUse" | "onChange">;
  readonly clock: Clock;
  readonly log: Log;
}

/** A session's spend has come close to its ceiling. */
export interface BudgetWarning {
  readonly orchestrator: string;
  readonly spend: Spend;
  readonly ceilingUsd: number;
}

/** Delay after an action, which changes when the next one is due, before that is computed again. */
const AGAIN_MS = 1_000;

export function createWatchdog({ limits, runner, lifecycle, activity, registry, clock, log }: WatchdogDeps): Watchdog {
  const timers = new Map<string, { readonly at: number; cancel(): void }>();
  /** By session; null once it was handed out. */
  const warnings = new Map<string, Spend | null>();
  const lastSnapshots = new Map<string, number>();
  const budgetWarnings = createEmitter<BudgetWarning>((error) =>
    log("error", "a listener failed", { reason: String(error) }),
  );
  let suspended = false;
  // In a timer, not here: the caller that changed the job may not have finished.
  registry.onChange(({ sessionJobs }) => arm(sessionJobs, clock.now()));
  // The wait for a usage limit is announced once, and may last for hours; an agent in a circle changes nothing of its job.
  const unsubscribe = activity.on(({ orchestrator, jobID }) => {
    const look = (sessionJobs: SessionJobs) => {
      const { retry, repeats = null } = activity.of(sessionJobs.get(jobID)?.childSession ?? null);
      if (retry || repeatsFailure(repeats)) arm(sessionJobs, clock.now());
    };
    registry.inUse(orchestrator)?.then(look, () => {}); // one that could not be opened runs nothing
  });

  function arm(sessionJobs: SessionJobs, at: number): void {
    const { orchestrator } = sessionJobs;
    const timer = timers.get(orchestrator);
    if (suspended || (timer && timer.at <= at)) return;
    timer?.cancel();
    const cancel = clock.after(Math.max(0, at - clock.now()), () => {
      timers.delete(orchestrator);
      try {
        lookNow(sessionJobs);
      } catch (error) {
        log("error", "could not look at the deadlines of jobs", { orchestrator, reason: String(error) });
      }
    });
    timers.set(orchestrator, { at, cancel });
  }

  function lookNow(sessionJobs: SessionJobs): void {
    const now = clock.now();
    const { open: jobs, settled, warmPerHour } = sessionJobs.accounts();
    const money = decideBudget(jobs, limits.budget, now, settled, warmPerHour);
    if (money.isLow && !warnings.has(sessionJobs.orchestrator) && jobs.length > 0) {
      warnings.set(sessionJobs.orchestrator, money.spend);
      const { orchestrator } = sessionJobs;
      budgetWarnings.emit({ orchestrator, spend: money.spend, ceilingUsd: limits.budget.ceilingUsd ?? 0 });
    }
    const times = [money.nextAt];
    for (const job of jobs) {
      if (money.isOut && !isHeld(job.state) && job.sandbox.kind === "live") void lifecycle.park(sessionJobs, job.id);
      if (isHeld(job.state)) times.push(lookAt(sessionJobs, job, money, now));
    }
    const next = Math.min(...times.map((at) => at ?? Infinity));
    if (Number.isFinite(next) && jobs.length > 0) arm(sessionJobs, Math.max(next, now + 1));
  }

  /** Checks a job at work. Of one whose sandbox is not there yet only the cost: its time does not pass yet. @returns when to check again, epoch ms; null = at the next change */
  function lookAt(sessionJobs: SessionJobs, job: Job, money: BudgetState, now: number): number | null {
    const progress = runner.progress(job.id);
    const isStarting = job.state.kind === "starting";
    if (!progress) return null;
    // The reserve pays for all of the rescue.
    const stop = (failure: Failure) =>
      act(sessionJobs, job, { kind: "stop", failure, graceMs: commandGraceMs(limits.budget.rescueMs) });
    const own = decideJobBudget(job, sessionJobs.all(), limits.budget, now);
    if (own.isOut) return stop(taskBudgetFailure(job.task.maxUsd ?? 0, job.task));
    if (money.isOut) return stop(sessionBudgetFailure(limits.budget.ceilingUsd ?? 0, money.spend.usd, job.task));
    if (isStarting) return own.nextAt;
    const current = activity.of(job.childSession);
    const { stallMs } = limits.deadlines(job);
    const limit = progress.hasTurn && current.retry ? decideRetry(current.retry, stallMs, now) : null;
    const hopeless = limit ?? (progress.hasTurn ? repeatsFailure(current.repeats ?? null) : null);
    if (hopeless) return stop(hopeless);
    // A model that was announced to be asked again later is not silent until then.
    const activeAt = current.lastActivityAt && Math.max(current.lastActivityAt, current.retry?.nextAt ?? 0);
    const isWorking = current.tool !== null && !current.isAsking; // a tool that waits for an answer does nothing
    const facts = {
      since: job.state.since,
      sandboxUntil: job.compute.until,
      lastActivityAt: progress.hasTurn && !isWorking ? activeAt : null,
      isRetry: progress.isRetry,
      isWrappingUp: progress.isWrappingUp,
      isRun: job.task.run !== null,
      lastSnapshotAt: Math.max(lastSnapshots.get(job.id) ?? 0, job.state.since),
    };
    const { action, nextAt } = decideDeadline(facts, limits.deadlines(job), now);
    act(sessionJobs, job, action);
    const again = action.kind === "nothing" ? Infinity : now + AGAIN_MS;
    return Math.min(nextAt ?? Infinity, own.nextAt ?? Infinity, again);
  }

  function act(sessionJobs: SessionJobs, job: Job, action: DeadlineAction): null {
    if (action.kind !== "nothing") log("info", "a job's deadline", { jobID: job.id, action: action.kind });
    if (action.kind === "retry_turn") runner.retryTurn(job.id);
    if (action.kind === "wrap_up") runner.wrapUp(job.id, toWrapUp(action.minutes), action.failure);
    if (action.kind === "stop") runner.giveUp(job.id, action.failure, action.graceMs);
    if (action.kind === "checkpoint") {
      lastSnapshots.set(job.id, clock.now());
      void lifecycle.checkpoint(sessionJobs, job.id);
    }
    return null;
  }

  return {
    onBudgetWarning: (listener) => budgetWarnings.on(listener),
    takeWarning(orchestrator) {
      const spend = warnings.get(orchestrator) ?? null;
      if (spend) warnings.set(orchestrator, null);
      return spend;
    },
    forget(orchestrator) {
      timers.get(orchestrator)?.cancel();
      timers.delete(orchestrator);
    },
    suspend() {
      suspended = true;
      unsubscribe();
      for (const { cancel } of timers.values()) cancel();
    },
  };
}
