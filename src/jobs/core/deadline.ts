import type { Failure } from "../../shared/error-code.ts";

/** Times of a running job. Moments are epoch milliseconds. */
export interface DeadlineFacts {
  /** Since when it runs. */
  readonly since: number;
  /** When the provider ends its sandbox; null = never. */
  readonly sandboxUntil: number | null;
  /** Newest output of the model or end of a tool in the turn under way; null between turns and while a tool runs. */
  readonly lastActivityAt: number | null;
  /** The turn under way was stopped for silence before. */
  readonly isRetry: boolean;
  /** Its agent has been told to wrap up. */
  readonly isWrappingUp: boolean;
  /** Newest snapshot of it, or its start. */
  readonly savedAt: number;
}

export interface DeadlineLimits {
  readonly jobMs: number;
  readonly stallMs: number;
  /** null = never. */
  readonly checkpointMs: number | null;
  readonly rescueMs: number;
}

export type DeadlineAction =
  | { readonly kind: "nothing" }
  /** Stops the turn and prompts it once more. */
  | { readonly kind: "retry_turn" }
  | { readonly kind: "checkpoint" }
  /** Tells the agent to come to an end; `failure` is what the job ends with then. */
  | { readonly kind: "wrap_up"; readonly failure: Failure; readonly minutes: number }
  | { readonly kind: "stop"; readonly failure: Failure };

export interface DeadlineDecision {
  readonly action: DeadlineAction;
  /** When to look again, at the latest; null = when something changes. */
  readonly nextAt: number | null;
}

/**
 * What a running job's time asks for now. The last stretch before its end is for its rescue: in the first half the
 * agent may wrap up, the second is left for stopping and freezing.
 */
export function decideDeadline(facts: DeadlineFacts, limits: DeadlineLimits, now: number): DeadlineDecision {
  const jobEnd = facts.since + limits.jobMs;
  const end = Math.min(jobEnd, facts.sandboxUntil ?? jobEnd);
  const rescueMs = Math.min(limits.rescueMs, Math.max(0, end - facts.since) / 2);
  const stopAt = end - rescueMs / 2;
  const wrapUpAt = facts.isWrappingUp ? stopAt : end - rescueMs;
  const stallAt = facts.lastActivityAt === null ? Infinity : facts.lastActivityAt + limits.stallMs;
  const saveAt = limits.checkpointMs === null || facts.isWrappingUp ? Infinity : facts.savedAt + limits.checkpointMs;
  const next = Math.min(...[stopAt, wrapUpAt, stallAt, saveAt].filter((at) => at > now));
  return { action: decide(), nextAt: Number.isFinite(next) ? next : null };

  function decide(): DeadlineAction {
    const failure = timedOut(end === jobEnd ? limits.jobMs : end - facts.since, end === jobEnd);
    if (now >= stopAt) return { kind: "stop", failure };
    if (now >= wrapUpAt) return { kind: "wrap_up", failure, minutes: (stopAt - now) / MINUTE_MS };
    if (now >= stallAt) {
      return facts.isRetry ? { kind: "stop", failure: stalled(limits.stallMs) } : { kind: "retry_turn" };
    }
    return now >= saveAt ? { kind: "checkpoint" } : { kind: "nothing" };
  }
}

const MINUTE_MS = 60_000;

const timedOut = (ms: number, isJobs: boolean): Failure => ({
  code: "timed_out",
  message: `It was stopped because ${isJobs ? "its time" : "its sandbox's time"} of ${minutes(ms)} was nearly over. Its files are kept: send it a message to go on.`,
  retryable: true,
});

const stalled = (ms: number): Failure => ({
  code: "stalled",
  message: `Nothing was heard of its model and no tool ran for ${minutes(ms)}, twice. Its files are kept: send it a message to go on.`,
  retryable: true,
});

const minutes = (ms: number): string => {
  const count = Math.round(ms / 6_000) / 10;
  return `${count} ${count === 1 ? "minute" : "minutes"}`;
};
