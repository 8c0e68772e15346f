import type { Failure } from "../shared/error-code.ts";

/** Facts about a running job. Times are epoch milliseconds. */
export interface DeadlineFacts {
  /** Since when the job runs. */
  readonly since: number;
  /** When the provider ends its sandbox; null = never. */
  readonly sandboxUntil: number | null;
  /** Latest sign of life in the turn under way; null between turns and while a tool runs. */
  readonly lastActivityAt: number | null;
  /** The turn under way was stopped for silence before. */
  readonly isRetry: boolean;
  /** Its agent has been told to wrap up. */
  readonly isWrappingUp: boolean;
  /** It has no agent that could wrap up or be silent. */
  readonly isRun?: boolean;
  /** When the latest snapshot was taken; without one, since when the job runs. */
  readonly lastSnapshotAt: number;
}

export interface DeadlineLimits {
  /** Longest time a job may run. */
  readonly jobMs: number;
  /** Longest time a turn may pass without a sign of life. */
  readonly stallMs: number;
  /** Interval between snapshots of a running job; null = none are taken. */
  readonly checkpointMs: number | null;
  /** Time before the hard limit that is kept for wrapping up, stopping and parking. */
  readonly rescueMs: number;
}

export type DeadlineAction =
  | { readonly kind: "nothing" }
  /** Stop the turn and prompt it once more. */
  | { readonly kind: "retry_turn" }
  /** Take a snapshot. */
  | { readonly kind: "checkpoint" }
  /** Tell the agent to finish within `minutes`; the job then fails with `failure`. */
  | { readonly kind: "wrap_up"; readonly failure: Failure; readonly minutes: number }
  /** Stop the turn, or the command within `graceMs` after SIGTERM; keep the files, and fail the job. */
  | { readonly kind: "stop"; readonly failure: Failure; readonly graceMs: number };

export interface DeadlineDecision {
  readonly action: DeadlineAction;
  /** When to decide again at the latest, epoch ms; null = at the next change. */
  readonly nextAt: number | null;
}

/**
 * What a running job's limits ask for now. `rescueMs` before its end, the agent is told to wrap up; half of that time
 * later it is stopped, and the other half is left for stopping its turn and parking its sandbox. A job shorter than two
 * rescues gives half of its time to the rescue.
 */
export function decideDeadline(facts: DeadlineFacts, limits: DeadlineLimits, now: number): DeadlineDecision {
  const jobEnd = facts.since + limits.jobMs;
  const end = Math.min(jobEnd, facts.sandboxUntil ?? jobEnd);
  const rescueMs = Math.min(limits.rescueMs, Math.max(0, end - facts.since) / 2);
  const stopAt = end - rescueMs / 2;
  const wrapUpAt = facts.isWrappingUp || facts.isRun ? stopAt : end - rescueMs;
  const stallAt = facts.lastActivityAt === null ? Infinity : facts.lastActivityAt + limits.stallMs;
  const saveAt =
    limits.checkpointMs === null || facts.isWrappingUp ? Infinity : facts.lastSnapshotAt + limits.checkpointMs;
  const next = Math.min(...[stopAt, wrapUpAt, stallAt, saveAt].filter((at) => at > now));
  return { action: decide(), nextAt: Number.isFinite(next) ? next : null };

  function decide(): DeadlineAction {
    const ms = end === jobEnd ? limits.jobMs : end - facts.since;
    const failure = timedOut(ms, end === jobEnd, facts.isRun === true);
    const graceMs = commandGraceMs(rescueMs);
    if (now >= stopAt) return { kind: "stop", failure, graceMs };
    if (now >= wrapUpAt) return { kind: "wrap_up", failure, minutes: (stopAt - now) / MINUTE_MS };
    if (now >= stallAt) {
      return facts.isRetry ? { kind: "stop", failure: stalled(limits.stallMs), graceMs } : { kind: "retry_turn" };
    }
    return now >= saveAt ? { kind: "checkpoint" } : { kind: "nothing" };
  }
}

/**
 * Time that the command of a run has to save its work and end, from SIGTERM to SIGKILL: half of what a rescue has left for
 * stopping the run and parking its sandbox.
 */
export const commandGraceMs = (rescueMs: number): number =>
  Math.max(LEAST_GRACE_MS, Math.min(MOST_GRACE_MS, rescueMs / 4));

const LEAST_GRACE_MS = 2_000;
const MOST_GRACE_MS = 30_000;

const MINUTE_MS = 60_000;

/** What is left of a run is said when it is known. */
const timedOut = (ms: number, isJobLimit: boolean, isRun: boolean): Failure => ({
  code: "timed_out",
  message: `The ${isRun ? "run" : "job"} was stopped shortly before ${isJobLimit ? "its time limit" : "the end of its sandbox's lifetime"} of ${minutes(ms)}.${isRun ? "" : " Its files are kept: send it a message to go on."}`,
  retryable: true,
});

const stalled = (ms: number): Failure => ({
  code: "stalled",
  message: `The job's model was silent for ${minutes(ms)} while no tool ran, twice in a row. Its files are kept: send the job a message to go on.`,
  retryable: true,
});

const minutes = (ms: number): string => {
  const count = Math.round(ms / 6_000) / 10;
  return `${count} ${count === 1 ? "minute" : "minutes"}`;
};
