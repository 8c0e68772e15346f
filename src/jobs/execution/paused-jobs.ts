import type { Clock } from "../../shared/clock.ts";
import type { QueuedJob } from "../queue/local-queue.ts";

/** Jobs that ask for a GPU again later. Until then they take nothing of the pool, and no other job waits behind them. */
export interface PausedJobs {
  all(): readonly QueuedJob[];
  /** Pauses the job, in place of an earlier pause, and then calls `resume`. */
  pause(job: QueuedJob, until: number): void;
  /** No-op if the job is not paused. */
  end(jobID: string): void;
  endAll(): void;
}

export function createPausedJobs(clock: Clock, resume: (job: QueuedJob) => void): PausedJobs {
  const paused = new Map<string, { readonly job: QueuedJob; readonly cancel: () => void }>();

  function end(jobID: string): void {
    paused.get(jobID)?.cancel();
    paused.delete(jobID);
  }

  return {
    all: () => [...paused.values()].map(({ job }) => job),
    pause(job, until) {
      end(job.jobID);
      const cancel = clock.after(until - clock.now(), () => {
        paused.delete(job.jobID);
        resume(job);
      });
      paused.set(job.jobID, { job, cancel });
    },
    end,
    endAll() {
      for (const jobID of [...paused.keys()]) end(jobID);
    },
  };
}
