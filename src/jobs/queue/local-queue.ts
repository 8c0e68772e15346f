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
  /** Whether this job is still queued since it was read from `all`. */
  has(job: QueuedJob): boolean;
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
  isBlocked(job: QueuedJob): boolean;
  /** Whether any job is blocked on its budget. */
  hasBlocked(): boolean;
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
  const byID = new Map<string, QueuedJob>();
  /** Reasons by job id. */
  const budgetReasons = new Map<string, string>();
  const placesFreed = createEmitter<void>((error) => log("error", "a listener failed", { reason: String(error) }));
  let suspended = false;

  function takePlaces(jobs: readonly QueuedJob[]): void {
    const requests = jobs.flatMap(({ sessionJobs, jobID }) => {
      const job = sessionJobs.get(jobID);
      return job
        ? [{ jobID, owner, since: placeOf(job), gpu: job.task.gpu, isOnMachine: job.provider === "local" }]
        : [];
    });
    if (requests.length > 0) pool.enqueue(requests, clock.now());
  }

  function takeOut(job: QueuedJob): void {
    const index = queued.indexOf(job);
    if (index >= 0) queued.splice(index, 1);
    if (byID.get(job.jobID) === job) byID.delete(job.jobID);
    budgetReasons.delete(job.jobID);
  }

  const find = (jobID: string) => byID.get(jobID);

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
    has: (job) => byID.get(job.jobID) === job,
    add(job) {
      if (find(job.jobID)) return;
      const place = ({ sessionJobs, jobID }: QueuedJob) => placeOf(sessionJobs.get(jobID));
      const own = place(job);
      const before = queued.findLastIndex((one) => place(one) <= own); // a new job is the last, as a rule
      queued.splice(before + 1, 0, job);
      byID.set(job.jobID, job);
      try {
        takePlaces([job]);
      } catch (error) {
        log("error", "could not write a job's queue entry; it is retried at the next renewal", {
          jobID: job.jobID,
          reason: String(error),
        });
      }
    },
    putBack(job) {
      queued.unshift(job);
      byID.set(job.jobID, job);
    },
    takeOut,
    drop(job) {
      takeOut(job);
      leaveQueue(job.jobID);
    },
    leaveQueue,
    blockOnBudget(job, reason) {
      const isNew = !budgetReasons.has(job.jobID);
      budgetReasons.set(job.jobID, reason);
      if (isNew) leaveQueue(job.jobID);
    },
    unblock(job) {
      if (budgetReasons.size > 0 && budgetReasons.delete(job.jobID)) takePlaces([job]);
    },
    isBlocked: ({ jobID }) => budgetReasons.size > 0 && budgetReasons.has(jobID),
    hasBlocked: () => budgetReasons.size > 0,
    budgetReasonOf: (jobID) => budgetReasons.get(jobID),
    renew: () => takePlaces(queued.filter(({ jobID }) => !budgetReasons.has(jobID))),
    onPlaceFreed: (listener) => placesFreed.on(listener),
    suspend() {
      suspended = true;
    },
  };
}
