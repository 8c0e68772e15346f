import type { Clock } from "../shared/clock.ts";
import type { IdGenerator } from "../shared/ids.ts";
import type { Log } from "../shared/log.ts";
import { type AdmissionLimits, decideAdmission } from "./admission.ts";
import { type Job, start } from "./job.ts";
import type { JobBook } from "./job-book.ts";
import { LEASE_RENEW_MS, type LeaseRequest, type PoolStore } from "./store/pool-store.ts";

/** What a queued job waits for, and its place (1 = next). */
export interface QueuePlace {
  readonly position: number;
  /** null when it starts as soon as its turn has come. */
  readonly reason: string | null;
}

/** Lets queued jobs run, first come first served, while the machine's running slots last. */
export interface Scheduler {
  enqueue(book: JobBook, jobID: string): void;
  /** Takes a job out of the queue; one that is not in it is no error. */
  remove(jobID: string): void;
  place(jobID: string): QueuePlace | null;
  counts(): { readonly running: number; readonly queued: number };
  /** Stops admitting; leases of jobs that still run are kept until their runs end. */
  suspend(): void;
}

export interface SchedulerDeps {
  readonly pool: PoolStore;
  readonly owner: string;
  readonly limits: AdmissionLimits;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
  /** Runs an admitted job to its end; never rejects. */
  readonly runJob: (book: JobBook, jobID: string) => Promise<void>;
  /** A job waits: make room that is only kept for comfort. */
  readonly onPressure: () => void;
}

/** While slots are held by other processes nobody tells us of their release. */
const FOREIGN_POLL_MS = 2_000;

export function createScheduler(deps: SchedulerDeps): Scheduler {
  const { pool, owner, limits, clock } = deps;
  const waiting: { readonly book: JobBook; readonly jobID: string }[] = [];
  const held = new Map<string, LeaseRequest>();
  let stopRenewal: (() => void) | null = null;
  let stopPoll: (() => void) | null = null;
  let suspended = false;

  function pump(): void {
    stopPoll?.();
    stopPoll = null;
    try {
      while (!suspended && waiting[0] && admit(waiting[0])) {}
      if (suspended || waiting.length === 0) return;
      deps.onPressure();
      if (pool.heldLeases(owner, clock.now()).foreign > 0) stopPoll = clock.after(FOREIGN_POLL_MS, pump);
    } catch (error) {
      // A full disk or a locked file passes; the jobs keep their places meanwhile.
      deps.log("error", "could not start queued jobs", { queued: waiting.length, reason: String(error) });
      stopPoll = clock.after(FOREIGN_POLL_MS, pump);
    }
  }

  /** false when there is no slot. */
  function admit(next: { readonly book: JobBook; readonly jobID: string }): boolean {
    const { book, jobID } = next;
    const leaseID = deps.ids("lease");
    const lease = { id: leaseID, jobID, orchestrator: book.orchestrator, owner };
    if (!pool.acquireLease(lease, limits.maxRunningJobs, clock.now())) return false;
    held.set(leaseID, lease);
    renew();
    waiting.shift();
    let job: Job;
    try {
      job = book.update(jobID, (current) =>
        current.state.kind === "queued"
          ? {
              ...current,
              startedAt: current.startedAt ?? clock.now(),
              state: start(current.state, leaseID, clock.now()),
            }
          : current,
      );
    } catch (error) {
      waiting.unshift(next);
      release(leaseID);
      throw error;
    }
    const done = job.state.kind === "starting" ? deps.runJob(book, jobID) : Promise.resolve();
    void done.finally(() => {
      release(leaseID);
      pump();
    });
    return true;
  }

  function release(leaseID: string): void {
    held.delete(leaseID);
    try {
      pool.releaseLease(leaseID);
    } catch (error) {
      deps.log("error", "could not free a lease", { leaseID, reason: String(error) });
      if (suspended) return; // it lapses
      clock.after(FOREIGN_POLL_MS, () => {
        release(leaseID);
        pump();
      });
    }
  }

  function renew(): void {
    if (stopRenewal) return;
    stopRenewal = clock.after(LEASE_RENEW_MS, () => {
      stopRenewal = null;
      if (held.size === 0) return;
      try {
        pool.renewLeases(held.values(), clock.now());
      } catch (error) {
        deps.log("warn", "could not renew leases", { reason: String(error) }); // several tries fit into their time
      }
      renew();
    });
  }

  return {
    enqueue(book, jobID) {
      waiting.push({ book, jobID });
      // A whole batch is recorded before its first job runs: the call that started it must not wait for that.
      clock.after(0, pump);
    },
    remove(jobID) {
      const index = waiting.findIndex((one) => one.jobID === jobID);
      if (index >= 0) waiting.splice(index, 1);
    },
    place(jobID) {
      const ahead = waiting.findIndex((one) => one.jobID === jobID);
      if (ahead < 0) return null;
      const decision = decideAdmission({ running: pool.heldLeases(owner, clock.now()).total, ahead }, limits);
      return { position: ahead + 1, reason: decision.kind === "wait" ? decision.reason : null };
    },
    counts: () => ({ running: pool.heldLeases(owner, clock.now()).total, queued: waiting.length }),
    suspend() {
      suspended = true;
      stopPoll?.();
      stopRenewal?.();
    },
  };
}
