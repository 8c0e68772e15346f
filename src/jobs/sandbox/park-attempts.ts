import type { Clock } from "../../shared/clock.ts";

/** A sandbox that could not be frozen is kept, and frozen again so much later: disks are freed, connections return. */
export const PARK_RETRY_MS = 60_000;
/** For so long. Then it is ended all the same where its changes to the project are kept apart: none stands for ever. */
const TRY_MS = 60 * 60_000;

/** Knows since when the sandboxes of jobs could not be frozen. */
export function createParkAttempts(clock: Clock) {
  const failing = new Map<string, number>();
  return {
    /** Whether it has been tried long enough. */
    fail(jobID: string): boolean {
      const since = failing.get(jobID) ?? clock.now();
      failing.set(jobID, since);
      return clock.now() - since >= TRY_MS;
    },
    forget: (jobID: string): void => void failing.delete(jobID),
  };
}

/** What a job is told whose sandbox was ended without a snapshot. */
export const toLoss = (cause: unknown): string =>
  `Its sandbox was ended without a snapshot, since none could be taken for an hour (${cause instanceof Error ? cause.message : cause}). Its changes to the project are kept and can be collected; its other files are lost.`;
