import type { Job } from "../../core/job.ts";
import type { Clock } from "../../shared/clock.ts";
import { createEmitter } from "../../shared/emitter.ts";
import type { Log } from "../../shared/log.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { LeaseStore } from "../store/lease-store.ts";

export interface QueuedJob {
  readonly sessionJobs: SessionJobs;
  readonly jobID: string;
}

/** The queued jobs of this process in order of arrival, and their places in the queue that all processes share. */
export interface LocalQueue {
  all(): readonly QueuedJob[];
  find(jobID: string): QueuedJob | undefined;
  /** Adds a job at its place: behind those that were queued before it. No-op if the job is queued already. */
  add(job: QueuedJob): void;
  /** Puts a job that was taken out, and could not start, back at the head. */
  putBack(job: QueuedJob): void;
  /** Takes a job out to start it. Its place in the shared queue stays until `leaveQueue`. */
  takeOut(job: QueuedJob): void;
  /** Takes a job out of this queue and of the shared one. */
  drop(job: QueuedJob): void;
  leaveQueue(jobID: string): void;
  /** Gives up the job's place in the shared queue while its session's budget is exhausted: no other job need wait for it. */
  blockOnBudget(job: QueuedJob, reason: string): void;
  /** Gives a job that was blocked on its budget a place in the shared queue again. */
  unblock(job: QueuedJob): void;
  /** Why the job is blocked on its budget; undefined when it is not. */
  budgetReasonOf(jobID: string): string | undefined;
  /** Keeps the places in the shared queue from expiring. */
  renew(): void;
  /** Fires after each retry to release a place in the shared queue, also when that retry failed. */
  onPlaceFreed(listener: () => void): () => void;
  suspend(): void;
}

export interface LocalQueueDeps {
  readonly pool: LeaseStore;
  readonly owner: string;
  readonly clock: Clock;
  readonly log: Log;
}

const LEAVE_RETRY_MS = 2_000;

/**
 * Since when a job is queued, epoch ms. A job that comes back, because no GPU was free for it, is before others that were
 * queued in the same moment, such as the rest of its batch; several that come back are in the order of their positions.
 */
function placeOf(job: Job | undefined): number {
  if (!job) return 0;
  return job.gpuWait ? job.state.since - 0.5 + (job.position % 1000) / 2500 : job.state.since;
}

export function createLocalQueue({ pool, owner, clock, log }: LocalQueueDeps): LocalQueue {
  const queued: QueuedJob[] = [];
  /** Reasons by job id. */
  const budgetReasons = new Map<string, string>();
  const placesFreed = createEmitter<void>((error) => log("error", "a listener failed", { reason: String(error) }));
  let suspended = false;

  function takePlaces(jobs: readonly QueuedJob[]): void {
    const requests = jobs.flatMap(({ sessionJobs, jobID }) => {
      const job = sessionJobs.get(jobID);
      return job ? [{ jobID, owner, since: placeOf(job), gpu: job.task.gpu }] : [];
    });
    if (requests.length > 0) pool.enqueue(requests, clock.now());
  }

  function takeOut(job: QueuedJob): void {
    const index = queued.indexOf(job);
    if (index >= 0) queued.splice(index, 1);
    budgetReasons.delete(job.jobID);
  }

  const find = (jobID: string) => queued.find((one) => one.jobID === jobID);

  function leaveQueue(jobID: string): void {
    try {
      pool.leaveQueue(jobID);
    } catch (error) {
      log("warn", "could not delete a job's queue entry", { jobID, reason: String(error) });
      if (suspended) return; // the place expires
      clock.after(LEAVE_RETRY_MS, () => {
        if (!find(jobID)) leaveQueue(jobID);
        placesFreed.emit();
      });
    }
  }

  return {
    all: () => queued,
    find,
    add(job) {
      if (find(job.jobID)) return;
      const place = ({ sessionJobs, jobID }: QueuedJob) => placeOf(sessionJobs.get(jobID));
      const next = queued.findIndex((one) => place(one) > place(job));
      queued.splice(next < 0 ? queued.length : next, 0, job);
      try {
        takePlaces([job]);
      } catch (error) {
        log("error", "could not write a job's queue entry; it is retried at the next renewal", {
          jobID: job.jobID,
          reason: String(error),
        });
      }
    },
    putBack: (job) => void queued.unshift(job),
    takeOut,
    drop(job) {
      takeOut(job);
      leaveQueue(job.jobID);
    },
    leaveQueue,
    blockOnBudget(job, reason) {
      budgetReasons.set(job.jobID, reason);
      leaveQueue(job.jobID);
    },
    unblock(job) {
      if (budgetReasons.delete(job.jobID)) takePlaces([job]);
    },
    budgetReasonOf: (jobID) => budgetReasons.get(jobID),
    renew: () => takePlaces(queued.filter(({ jobID }) => !budgetReasons.has(jobID))),
    onPlaceFreed: (listener) => placesFreed.on(listener),
    suspend() {
      suspended = true;
    },
  };
}
