import type { Spend } from "../../core/budget.ts";
import { isEnded, type Job, type JobState } from "../../core/job.ts";
import type { Clock } from "../../shared/clock.ts";
import type { SessionActivity } from "../execution/session-activity.ts";
import type { Watchdog } from "../execution/watchdog.ts";
import type { UserMessages } from "../notify/user-messages.ts";
import { findJobs } from "../session/find-jobs.ts";
import type { SessionOpener } from "../session/session-jobs.ts";
import type { SessionRegistry } from "../session/session-registry.ts";

/** How many of the jobs must have ended. */
export type WaitUntil = "all" | "any" | number;

export type WaitReason = "satisfied" | "timeout" | "interrupted" | "attention";

export interface WaitDeps extends SessionOpener {
  readonly registry: Pick<SessionRegistry, "onChange">;
  readonly activity: Pick<SessionActivity, "on">;
  readonly watchdog: Pick<Watchdog, "takeWarning" | "onBudgetWarning">;
  readonly userMessages: Pick<UserMessages, "hasWrittenSince" | "on">;
  readonly clock: Clock;
}

export interface WaitRequest {
  readonly jobs?: readonly string[] | undefined;
  /** Those of them whose ends count; absent = all. */
  readonly counted?: ReadonlySet<string> | undefined;
  /** Those of them whose ends were told before: while others are open, the wait is not over without a new end. */
  readonly told?: ReadonlySet<string> | undefined;
  readonly until: WaitUntil;
  readonly timeoutMs: number;
  /** Id of the model's message that contains the call. */
  readonly messageID: string;
  readonly signal: AbortSignal;
  /** Called at once, after each change, and every two seconds, with a function that returns the jobs as they are then. */
  readonly onProgress: (current: () => readonly Job[]) => void;
}

export interface WaitResult {
  readonly reason: WaitReason;
  readonly finished: readonly Job[];
  readonly pending: readonly Job[];
  /** Whether a message of the user's ended the wait with `attention`. */
  readonly userWrote: boolean;
  /** The spend that ended the wait with `attention`; null when something else did. */
  readonly lowBudget: Spend | null;
}

const REFRESH_MS = 2_000;

/** How many jobs are waited for, and how many of them are in these states. */
export interface WaitCount {
  readonly all: number;
  readonly ended: number;
  readonly interrupted: number;
}

export const countJobs = (jobs: readonly Job[]): WaitCount =>
  jobs.reduce((count, { state }) => recount(count, null, state), { all: jobs.length, ended: 0, interrupted: 0 });

/** The count after a job has changed: looking at all of them at each change would be slow for thousands. */
function recount({ all, ended, interrupted }: WaitCount, before: JobState | null, after: JobState): WaitCount {
  const is = (state: JobState | null, kind: "ended" | "interrupted") =>
    Number(state !== null && (kind === "ended" ? isEnded(state) : state.kind === kind));
  return {
    all,
    ended: ended + is(after, "ended") - is(before, "ended"),
    interrupted: interrupted + is(after, "interrupted") - is(before, "interrupted"),
  };
}

/**
 * Whether a wait is over. An interrupted job never ends by itself, so waiting for it alone asks for attention.
 * @param told how many of the jobs have ended of which the caller was told before
 */
export function decideWait(count: WaitCount, until: WaitUntil, told = 0): "satisfied" | "attention" | "wait" {
  const named = until === "all" ? count.all : until === "any" ? 1 : until;
  const wanted = Math.min(Math.max(named, told + 1), count.all);
  if (count.ended >= wanted) return "satisfied";
  return count.all - count.interrupted < wanted ? "attention" : "wait";
}

/**
 * Waits until enough of the jobs have ended, woken by events; the store is never polled.
 * @throws PluginError `not_found` when an id is no job of this session
 */
export async function waitForJobs(deps: WaitDeps, orchestrator: string, request: WaitRequest): Promise<WaitResult> {
  const sessionJobs = await deps.sessionJobs(orchestrator);
  const ids = findJobs(sessionJobs, request.jobs).map((job) => job.id);
  const hasUserWritten = () => deps.userMessages.hasWrittenSince(orchestrator, request.messageID);
  let userWrote = hasUserWritten();
  let lowBudget: Spend | null = null;
  const current = () => ids.flatMap((id) => sessionJobs.get(id) ?? []);
  const told = new Set(request.told);
  const counts = (jobID: string) => request.counted === undefined || request.counted.has(jobID);
  let count = countJobs(current().filter(({ id }) => counts(id)));
  const reason = await new Promise<WaitReason>((resolve) => {
    let isOver = false;
    const finish = (why: WaitReason) => {
      isOver = true;
      for (const unsubscribe of subscriptions) unsubscribe();
      cancelTimer();
      cancelTick();
      request.signal.removeEventListener("abort", interrupted);
      resolve(why);
    };
    const interrupted = () => finish("interrupted");
    const look = () => {
      const decision = decideWait(count, request.until, told.size);
      if (decision === "satisfied") return finish(decision);
      if (userWrote || decision === "attention") return finish("attention");
      lowBudget = deps.watchdog.takeWarning(sessionJobs.orchestrator);
      if (lowBudget) finish("attention");
    };
    // Jobs may be silent for hours; the progress shown keeps moving all the same.
    let cancelTick = () => {};
    const tick = () => {
      request.onProgress(current);
      cancelTick = deps.clock.after(REFRESH_MS, tick);
    };
    const wanted = new Set(ids);
    const show = (jobID: string) => {
      if (wanted.has(jobID)) request.onProgress(current);
    };
    const subscriptions = [
      deps.registry.onChange(({ before, job }) => {
        if (!wanted.has(job.id)) return;
        show(job.id);
        if (!counts(job.id) || before?.state === job.state) return;
        if (!isEnded(job.state)) told.delete(job.id); // it was woken, and its next end is a new one
        count = recount(count, before?.state ?? null, job.state);
        look();
      }),
      deps.activity.on(({ jobID }) => show(jobID)),
      deps.watchdog.onBudgetWarning((warning) => {
        if (warning.orchestrator === sessionJobs.orchestrator) look();
      }),
      deps.userMessages.on((sessionID) => {
        if (sessionID !== orchestrator) return;
        userWrote = hasUserWritten();
        look();
      }),
    ];
    const cancelTimer = deps.clock.after(request.timeoutMs, () => finish("timeout"));
    request.signal.addEventListener("abort", interrupted);
    if (request.signal.aborted) return interrupted();
    look();
    if (!isOver) tick();
  });
  const jobs = current();
  return {
    reason,
    finished: jobs.filter((job) => isEnded(job.state)),
    pending: jobs.filter((job) => !isEnded(job.state)),
    userWrote: userWrote && reason === "attention",
    lowBudget,
  };
}
