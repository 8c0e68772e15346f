import type { Clock } from "../../shared/clock.ts";
import type { SessionJobs } from "../session/session-jobs.ts";

/** Timers that park sandboxes, at most one per job: setting another replaces the first. */
export interface ParkTimers {
  set(sessionJobs: SessionJobs, jobID: string, afterMs: number): void;
  stop(jobID: string): void;
  /** Stops all timers but those of these jobs. @returns the jobs that the stopped ones were set for */
  stopAll(isSpared?: (jobID: string) => boolean): { readonly jobID: string; readonly sessionJobs: SessionJobs }[];
}

export function createParkTimers(clock: Clock, park: (sessionJobs: SessionJobs, jobID: string) => void): ParkTimers {
  const timers = new Map<string, { cancel: () => void; sessionJobs: SessionJobs }>();
  const stop = (jobID: string) => {
    timers.get(jobID)?.cancel();
    timers.delete(jobID);
  };
  return {
    set(sessionJobs, jobID, afterMs) {
      stop(jobID);
      const cancel = clock.after(afterMs, () => {
        timers.delete(jobID);
        park(sessionJobs, jobID);
      });
      timers.set(jobID, { cancel, sessionJobs });
    },
    stop,
    stopAll(isSpared = () => false) {
      const all = [...timers].flatMap(([jobID, { sessionJobs }]) => (isSpared(jobID) ? [] : [{ jobID, sessionJobs }]));
      for (const { jobID } of all) stop(jobID);
      return all;
    },
  };
}
