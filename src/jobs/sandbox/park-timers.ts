import type { Clock } from "../../shared/clock.ts";
import type { SessionJobs } from "../session/session-jobs.ts";

/** When which sandbox is parked: one moment for each job, the last that was set. */
export interface ParkTimers {
  set(sessionJobs: SessionJobs, jobID: string, afterMs: number): void;
  stop(jobID: string): void;
  /** Stops all of them; whom they were for. */
  stopAll(): { readonly jobID: string; readonly sessionJobs: SessionJobs }[];
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
    stopAll() {
      const all = [...timers].map(([jobID, { sessionJobs }]) => ({ jobID, sessionJobs }));
      for (const { jobID } of all) stop(jobID);
      return all;
    },
  };
}
