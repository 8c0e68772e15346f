import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { LeaseStore } from "../store/lease-store.ts";

export interface QueuedJob {
  readonly sessionJobs: SessionJobs;
  readonly jobID: string;
}

/** The queued jobs of this process, in order of arrival, and their places in the queue of all processes. */
export interface LocalQueue {
  all(): readonly QueuedJob[];
  find(jobID: string): QueuedJob | undefined;
  /** Last in line. */
  add(one: QueuedJob): void;
  /** One that was taken out to start, and could not. */
  putBack(one: QueuedJob): void;
  /** To start it: it keeps its place in the queue of all until `leaveQueue`. */
  takeOut(one: QueuedJob): void;
  drop(one: QueuedJob): void;
  leaveQueue(jobID: string): void;
  /** Lets a job wait for money. It holds no place in the queue of all: nobody need wait behind it. */
  blockOnBudget(one: QueuedJob, reason: string): void;
  /** Gives it a place again. */
  unblock(one: QueuedJob): void;
  budgetReasonOf(jobID: string): string | undefined;
  /** Keeps the places from lapsing. Returns whether any job waits. */
  renew(): boolean;
  suspend(): void;
}

export interface LocalQueueDeps {
  readonly pool: LeaseStore;
  readonly owner: string;
  readonly clock: Clock;
  readonly log: Log;
  /** A place was freed late. */
  readonly onFreed: () => void;
}

const LEAVE_RETRY_MS = 2_000;

export function createLocalQueue({ pool, owner, clock, log, onFreed }: LocalQueueDeps): LocalQueue {
  const waiting: QueuedJob[] = [];
  /** Jobs that wait for money, and why. */
  const short = new Map<string, string>();
  let suspended = false;

  function hold(these: readonly QueuedJob[]): void {
    const requests = these.flatMap(({ sessionJobs, jobID }) => {
      const job = sessionJobs.get(jobID);
      return job ? [{ jobID, owner, since: job.state.since, gpu: job.task.gpu }] : [];
    });
    if (requests.length > 0) pool.enqueue(requests, clock.now());
  }

  function takeOut(one: QueuedJob): void {
    const index = waiting.indexOf(one);
    if (index >= 0) waiting.splice(index, 1);
    short.delete(one.jobID);
  }

  const find = (jobID: string) => waiting.find((one) => one.jobID === jobID);

  function leaveQueue(jobID: string): void {
    try {
      pool.leaveQueue(jobID);
    } catch (error) {
      log("warn", "could not leave the queue", { jobID, reason: String(error) });
      if (suspended) return; // its place lapses
      clock.after(LEAVE_RETRY_MS, () => {
        if (!find(jobID)) leaveQueue(jobID);
        onFreed();
      });
    }
  }

  return {
    all: () => waiting,
    find,
    add(one) {
      waiting.push(one);
      try {
        hold([one]);
      } catch (error) {
        log("error", "could not queue a job yet", { jobID: one.jobID, reason: String(error) }); // the next renewal does
      }
    },
    putBack: (one) => void waiting.unshift(one),
    takeOut,
    drop(one) {
      takeOut(one);
      leaveQueue(one.jobID);
    },
    leaveQueue,
    blockOnBudget(one, reason) {
      short.set(one.jobID, reason);
      leaveQueue(one.jobID);
    },
    unblock(one) {
      if (short.delete(one.jobID)) hold([one]);
    },
    budgetReasonOf: (jobID) => short.get(jobID),
    renew() {
      hold(waiting.filter(({ jobID }) => !short.has(jobID)));
      return waiting.length > 0;
    },
    suspend() {
      suspended = true;
    },
  };
}
