import type { Clock } from "../../shared/clock.ts";
import type { JobBook } from "../session/session-jobs.ts";

/** When which sandbox is parked: one moment for each job, the last that was set. */
export interface ParkTimers {
  set(book: JobBook, jobID: string, afterMs: number): void;
  stop(jobID: string): void;
  /** Stops all of them; whom they were for. */
  stopAll(): { readonly jobID: string; readonly book: JobBook }[];
}

export function createParkTimers(clock: Clock, park: (book: JobBook, jobID: string) => void): ParkTimers {
  const timers = new Map<string, { cancel: () => void; book: JobBook }>();
  const stop = (jobID: string) => {
    timers.get(jobID)?.cancel();
    timers.delete(jobID);
  };
  return {
    set(book, jobID, afterMs) {
      stop(jobID);
      const cancel = clock.after(afterMs, () => {
        timers.delete(jobID);
        park(book, jobID);
      });
      timers.set(jobID, { cancel, book });
    },
    stop,
    stopAll() {
      const all = [...timers].map(([jobID, { book }]) => ({ jobID, book }));
      for (const { jobID } of all) stop(jobID);
      return all;
    },
  };
}
