import { isEnded, type Job } from "../../core/job.ts";
import { mayBeMadeAhead } from "../../core/made-ahead.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import type { QueuedJob } from "../queue/local-queue.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { SessionRegistry } from "../session/session-registry.ts";
import type { MadeSandbox } from "./creation.ts";

/**
 * The sandboxes of the runs that are next in the queue, made while they wait: a slot that becomes free then runs a command
 * at once. Until its job takes it, a sandbox is named by nobody but its tags (see `decideOrphan`).
 */
export interface Ahead {
  /** The queue has changed, or there is time for another. Returns at once. */
  look(): void;
  /** What was made for the job, which has it from then on; null = nothing. Never rejects. */
  take(jobID: string): Promise<MadeSandbox | null>;
  /** The job does not want it any more. */
  drop(jobID: string): void;
  /** Ends all. Never rejects. */
  suspend(): Promise<void>;
}

export interface AheadDeps {
  /** Jobs in the order in which they start. */
  readonly queue: () => readonly QueuedJob[];
  readonly make: (sessionJobs: SessionJobs, job: Job, signal: AbortSignal) => Promise<MadeSandbox>;
  /** Number of sandboxes that are being made for jobs that have started, which come first. */
  readonly others: () => number;
  readonly registry: Pick<SessionRegistry, "onChange">;
  readonly clock: Clock;
  readonly log: Log;
}

/** More would not start a job any sooner, and each holds a copy of its files. */
const MOST = 4;
const AT_ONCE = 2;
/** Jobs that have just been admitted ask for their sandboxes within this time. */
const LOOK_MS = 30;
/** After a failure, which the jobs will find for themselves. */
const PAUSE_MS = 60_000;

interface Entry {
  readonly abort: AbortController;
  /** null = it could not be made. */
  readonly made: Promise<MadeSandbox | null>;
  hasEnded: boolean;
}

export function createAhead({ queue, make, others, registry, clock, log }: AheadDeps): Ahead {
  /** By job id. */
  const entries = new Map<string, Entry>();
  const ending = new Set<Promise<void>>();
  let making = 0;
  let pausedUntil = 0;
  let cancelLook: (() => void) | null = null;
  let suspended = false;
  const stopListening = registry.onChange(({ job }) => {
    if (isEnded(job.state)) drop(job.id);
  });

  function look(): void {
    if (suspended || cancelLook) return;
    cancelLook = clock.after(LOOK_MS, () => {
      cancelLook = null;
      lookNow();
    });
  }

  function lookNow(): void {
    if (clock.now() < pausedUntil) return;
    for (const { sessionJobs, jobID } of queue().slice(0, MOST)) {
      if (making + others() >= AT_ONCE || entries.size >= MOST) return;
      const job = sessionJobs.get(jobID);
      if (job && !entries.has(jobID) && mayBeMadeAhead(job)) begin(sessionJobs, job);
    }
  }

  function begin(sessionJobs: SessionJobs, job: Job): void {
    const abort = new AbortController();
    making++;
    const made = make(sessionJobs, job, abort.signal)
      .catch((error) => {
        if (!abort.signal.aborted) pausedUntil = clock.now() + PAUSE_MS;
        log("info", "the sandbox of a queued run could not be made ahead", { jobID: job.id, reason: String(error) });
        return null;
      })
      .finally(() => {
        making--;
        look();
      });
    const entry: Entry = { abort, made, hasEnded: false };
    entries.set(job.id, entry);
    void made.then(async (one) => {
      await one?.sandbox.ended;
      entry.hasEnded = true;
    });
  }

  function drop(jobID: string): void {
    const entry = entries.get(jobID);
    if (!entry) return;
    entries.delete(jobID);
    entry.abort.abort();
    const end = entry.made.then(async (one) => {
      await one?.sandbox.terminate().catch((error: unknown) => {
        // Garbage collection ends it once this process has ended.
        log("warn", "a sandbox that was made ahead could not be ended", { jobID, reason: String(error) });
      });
      ending.delete(end);
      look();
    });
    ending.add(end);
  }

  return {
    look,
    async take(jobID) {
      const made = (await entries.get(jobID)?.made) ?? null;
      const entry = entries.get(jobID);
      if (made === null || entry?.hasEnded) {
        drop(jobID);
        return null;
      }
      if (!entry) return null; // the job was stopped meanwhile
      entries.delete(jobID);
      look();
      return made;
    },
    drop,
    async suspend() {
      suspended = true;
      stopListening();
      cancelLook?.();
      for (const jobID of [...entries.keys()]) drop(jobID);
      await Promise.all(ending);
    },
  };
}
