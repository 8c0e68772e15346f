import type { ChildSessions } from "../../core/ports.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import type { Workers } from "./workers.ts";

/**
 * Jobs whose models are about to be asked for the first time. What is not needed before a model's first answer is done after
 * its request: where it takes this machine's own power, the request would come later by that.
 */
export interface FirstRequests {
  /** Resolves once the models of the job, and of those that start with it, are asked, or after a moment. Never rejects. */
  over(jobID: string, signal: AbortSignal): Promise<void>;
  /** The job's model is not asked before its sandbox is there. */
  giveUp(jobID: string): void;
}

export interface FirstRequestsDeps {
  readonly sessions: Pick<ChildSessions, "on">;
  readonly workers: Pick<Workers, "find">;
  readonly clock: Clock;
}

/** A host that is busy asks late, or never tells. */
const MOST_MS = 3_000;
/** Of the others. A model answers no sooner than its sandbox is made in what is left. */
const OTHERS_MS = 400;

export function createFirstRequests({ sessions, workers, clock }: FirstRequestsDeps): FirstRequests {
  /** What to call when a job's model is asked, by job id. */
  const coming = new Map<string, () => void>();
  let allAsked = Promise.withResolvers<void>();

  function end(jobID: string): void {
    coming.get(jobID)?.();
    if (!coming.delete(jobID) || coming.size > 0) return;
    allAsked.resolve();
    allAsked = Promise.withResolvers();
  }

  async function within(limitMs: number, event: Promise<void>, signal: AbortSignal): Promise<void> {
    const isOver = new AbortController();
    await Promise.race([event, sleep(clock, limitMs, AbortSignal.any([signal, isOver.signal]))]);
    isOver.abort();
  }

  sessions.on((event) => {
    const worker = event.kind === "asked" ? workers.find(event.sessionID) : null;
    if (worker) end(worker.jobID);
  });

  return {
    async over(jobID, signal) {
      const asked = Promise.withResolvers<void>();
      coming.set(jobID, asked.resolve);
      await within(MOST_MS, asked.promise, signal);
      end(jobID);
      if (coming.size > 0) await within(OTHERS_MS, allAsked.promise, signal);
    },
    giveUp: end,
  };
}
