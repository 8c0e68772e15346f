import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import { type DeadlineAction, decideDeadline } from "../core/deadline.ts";
import { isHeld, type Job } from "../core/job.ts";
import type { JobBook } from "../session/session-jobs.ts";
import type { JobRunner } from "./job-runner.ts";
import type { Limits } from "../core/limits.ts";
import type { LivePictures } from "./session-activity.ts";
import type { SandboxKeeper } from "../sandbox/lifecycle.ts";
import { decideBudget, decideJobBudget, overSession, overTask, type Spend } from "../core/budget.ts";

/** Holds the timers of running jobs: looks at a session's jobs when something changes or falls due, and acts. */
export interface Watch {
  /** Something of the session's jobs has changed. */
  look(book: JobBook): void;
  /** The session's spend, once, when it has come close to the ceiling and nobody has been told. */
  takeWarning(orchestrator: string): Spend | null;
  forget(orchestrator: string): void;
  suspend(): void;
}

export interface WatchDeps {
  readonly limits: Limits;
  readonly runner: JobRunner;
  readonly keeper: SandboxKeeper;
  readonly live: LivePictures;
  readonly clock: Clock;
  readonly log: Log;
  /** A session's spend has come close to its ceiling. */
  readonly onLow: (book: JobBook, spend: Spend) => void;
}

const AGAIN_MS = 1_000;

export function createWatch({ limits, runner, keeper, live, clock, log, onLow }: WatchDeps): Watch {
  const timers = new Map<string, { readonly at: number; cancel(): void }>();
  /** By session: null when it was taken. */
  const warnings = new Map<string, Spend | null>();
  const savedAt = new Map<string, number>();
  let suspended = false;

  function arm(book: JobBook, at: number): void {
    const { orchestrator } = book;
    const timer = timers.get(orchestrator);
    if (suspended || (timer && timer.at <= at)) return;
    timer?.cancel();
    const cancel = clock.after(Math.max(0, at - clock.now()), () => {
      timers.delete(orchestrator);
      try {
        lookNow(book);
      } catch (error) {
        log("error", "could not look at the deadlines of jobs", { orchestrator, reason: String(error) });
      }
    });
    timers.set(orchestrator, { at, cancel });
  }

  function lookNow(book: JobBook): void {
    const now = clock.now();
    const jobs = book.jobs();
    const money = decideBudget(jobs, limits.money, now);
    if (money.isLow && !warnings.has(book.orchestrator) && jobs.some(isOpen)) {
      warnings.set(book.orchestrator, money.spend);
      onLow(book, money.spend);
    }
    const moments = [money.nextAt];
    for (const job of jobs) {
      if (money.isOut && !isHeld(job.state) && job.sandbox.kind === "live") void keeper.park(book, job.id);
      if (job.state.kind === "running") moments.push(lookAt(book, job, money.isOut, now));
    }
    const next = Math.min(...moments.map((at) => at ?? Infinity));
    if (Number.isFinite(next) && jobs.some(isOpen)) arm(book, Math.max(next, now + 1));
  }

  /** When to look at this job again. */
  function lookAt(book: JobBook, job: Job, isOut: boolean, now: number): number | null {
    const progress = runner.progress(job.id);
    if (!progress) return null;
    const own = decideJobBudget(job, limits.money, now);
    if (own.isOut) return act(book, job, { kind: "stop", failure: overTask(job.task.maxUsd ?? 0) });
    if (isOut) return act(book, job, { kind: "stop", failure: overSession(limits.money.ceilingUsd ?? 0) });
    const picture = live.of(job.childSession);
    const facts = {
      since: job.state.since,
      sandboxUntil: job.compute.until,
      heardAt: progress.hasTurn && picture.tool === null ? picture.heardAt : null,
      retried: progress.retried,
      told: progress.told,
      savedAt: Math.max(savedAt.get(job.id) ?? 0, job.state.since),
    };
    const { action, nextAt } = decideDeadline(facts, limits.deadlines(job), now);
    act(book, job, action);
    const again = action.kind === "nothing" ? Infinity : now + AGAIN_MS; // what was done has moved the moments
    return Math.min(nextAt ?? Infinity, own.nextAt ?? Infinity, again);
  }

  function act(book: JobBook, job: Job, action: DeadlineAction): null {
    if (action.kind !== "nothing") log("info", "a job's deadline", { jobID: job.id, action: action.kind });
    if (action.kind === "retry_turn") runner.retryTurn(job.id);
    if (action.kind === "wrap_up") runner.wrapUp(job.id, wrapUpText(action.minutes), action.failure);
    if (action.kind === "stop") runner.giveUp(job.id, action.failure);
    if (action.kind === "checkpoint") {
      savedAt.set(job.id, clock.now());
      void keeper.checkpoint(book, job.id);
    }
    return null;
  }

  return {
    // Not at once: who changed something is still at it.
    look: (book) => arm(book, clock.now()),
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
      for (const { cancel } of timers.values()) cancel();
    },
  };
}

/** It runs, or something of it costs money. */
const isOpen = (job: Job): boolean => isHeld(job.state) || job.compute.since !== null;

const wrapUpText = (minutes: number): string =>
  `Your time is nearly over: you will be stopped in ${minutes < 1 ? "less than a minute" : `${Math.floor(minutes)} min`}. Start nothing new. Save what matters in files now, and end with what you have: what is done, the numbers, where the files are, what is missing.`;
