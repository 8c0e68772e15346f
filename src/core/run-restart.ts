import type { Job } from "./job.ts";
import { MOST_ATTEMPTS } from "./sandbox-loss.ts";

/** What a run is about to do: its command begins, begins once more, or may not begin again. */
export type RunStart = "first" | "again" | "over";

/**
 * Whether the command of a run that has a sandbox may begin. A run that lost its sandbox or its OpenCode begins again once.
 * @param attemptsBefore what `attempts` was when this execution took the run up: a loss since then is counted already
 */
export function decideRunStart(job: Pick<Job, "processes" | "attempts">, attemptsBefore: number): RunStart {
  if (job.processes.length === 0 || job.attempts > attemptsBefore) return "first";
  return job.attempts < MOST_ATTEMPTS ? "again" : "over";
}
