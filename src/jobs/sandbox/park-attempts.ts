import type { Clock } from "../../shared/clock.ts";

/** Delay before a snapshot that failed is tried again: disks are freed, connections return. */
export const PARK_RETRY_MS = 60_000;
/** Time during which a snapshot is tried. After that a sandbox is terminated if its changes to the project are saved. */
const GIVE_UP_MS = 60 * 60_000;

/** Remembers since when no snapshot of a job's sandbox could be taken. */
export function createParkAttempts(clock: Clock) {
  const failing = new Map<string, number>();
  return {
    /** Counts a failed attempt. @returns whether to give up */
    fail(jobID: string): boolean {
      const since = failing.get(jobID) ?? clock.now();
      failing.set(jobID, since);
      return clock.now() - since >= GIVE_UP_MS;
    },
    forget: (jobID: string): void => void failing.delete(jobID),
  };
}

/** The note on a job whose sandbox was terminated without a snapshot. */
export const snapshotLossNote = (cause: unknown): string =>
  `Its sandbox was ended without a snapshot, since none could be taken for an hour (${cause instanceof Error ? cause.message : cause}). Its changes to the project are kept and can be collected; its other files are lost.`;
