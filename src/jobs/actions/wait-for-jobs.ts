import type { Spend } from "../../core/budget.ts";
import { isEnded, type Job } from "../../core/job.ts";
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
  readonly until: WaitUntil;
  readonly timeoutMs: number;
  /** Id of the model's message that contains the call. */
  readonly messageID: string;
  readonly signal: AbortSignal;
  /** Called with the jobs at once, at every change, and every two seconds. */
  readonly onProgress: (jobs: readonly Job[]) => void;
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

/** Whether a wait is over. An interrupted job never ends by itself, so waiting for it alone asks for attention. */
export function decideWait(jobs: readonly Job[], until: WaitUntil): "satisfied" | "attention" | "wait" {
  const ended = jobs.filter((job) => isEnded(job.state)).length;
  const wanted = until === "all" ? jobs.length : Math.min(until === "any" ? 1 : until, jobs.length);
  if (ended >= wanted) return "satisfied";
  const interrupted = jobs.filter((job) => job.state.kind === "interrupted").length;
  return jobs.length - interrupted < wanted ? "attention" : "wait";
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
  const reason = await new Promise<WaitReason>((resolve) => {
    const finish = (why: WaitReason) => {
      for (const unsubscribe of subscriptions) unsubscribe();
      cancelTimer();
      cancelTick();
      request.signal.removeEventListener("abort", interrupted);
      resolve(why);
    };
    const interrupted = () => finish("interrupted");
    const look = () => {
      const decision = decideWait(current(), request.until);
      if (decision === "satisfied") return finish(decision);
      if (userWrote || decision === "attention") return finish("attention");
      lowBudget = deps.watchdog.takeWarning(sessionJobs.orchestrator);
      if (lowBudget) finish("attention");
    };
    // Jobs may be silent for hours; the progress shown keeps moving all the same.
    let cancelTick = () => {};
    const tick = () => {
      request.onProgress(current());
      cancelTick = deps.clock.after(REFRESH_MS, tick);
    };
    const wanted = new Set(ids);
    const show = (jobID: string) => {
      if (wanted.has(jobID)) request.onProgress(current());
    };
    const subscriptions = [
      deps.registry.onChange(({ job }) => {
        show(job.id);
        if (wanted.has(job.id)) look();
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
    tick();
    look();
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
