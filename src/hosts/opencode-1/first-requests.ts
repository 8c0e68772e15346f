import { type Clock, sleep } from "../../shared/clock.ts";

/**
 * Jobs whose sessions are made and whose models are not asked yet. OpenCode does one thing at a time: where a call that has
 * started jobs answers at once, the step of the session that made it goes on between theirs, and a job's first request comes
 * twice as late.
 */
export interface FirstRequests {
  /** The job's session is being made. */
  begun(jobID: string): void;
  /** The job's model is asked, or never will be. */
  over(jobID: string): void;
  /** Resolves when the jobs that have just been started are asked, or after a moment: most of many are still on their way. */
  settled(): Promise<void>;
}

/** What a call that starts jobs answers later at most. */
const MOST_MS = 500;

export function createFirstRequests(clock: Clock): FirstRequests {
  const open = new Set<string>();
  let whenNone = Promise.withResolvers<void>();
  return {
    begun: (jobID) => void open.add(jobID),
    over(jobID) {
      if (!open.delete(jobID) || open.size > 0) return;
      whenNone.resolve();
      whenNone = Promise.withResolvers<void>();
    },
    async settled() {
      await sleep(clock, 0); // jobs are begun once the call that starts them has recorded them all
      if (open.size === 0) return;
      const waiting = new AbortController();
      await Promise.race([whenNone.promise, sleep(clock, MOST_MS, waiting.signal)]);
      waiting.abort();
      open.clear(); // one of them may wait for its sandbox
    },
  };
}
