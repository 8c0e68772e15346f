import { createEmitter } from "../../shared/emitter.ts";
import type { Log } from "../../shared/log.ts";

/** Jobs whose agents wait for runs that they started. Meanwhile one such run may use its job's slot. */
export interface WaitingJobs {
  /** The job waits from now on. @returns the function that ends this */
  begin(jobID: string): () => void;
  has(jobID: string): boolean;
  /** Subscribes to jobs that begin or end to wait. Returns the function that unsubscribes. */
  on(listener: (change: { readonly jobID: string; readonly isWaiting: boolean }) => void): () => void;
}

export function createWaitingJobs(log: Log): WaitingJobs {
  /** Calls that wait, by job: a model may make several at once. */
  const calls = new Map<string, number>();
  const changes = createEmitter<{ readonly jobID: string; readonly isWaiting: boolean }>((error) =>
    log("error", "a listener failed", { reason: String(error) }),
  );
  const add = (jobID: string, more: 1 | -1) => {
    const count = (calls.get(jobID) ?? 0) + more;
    if (count > 0) calls.set(jobID, count);
    else calls.delete(jobID);
    if (count === (more === 1 ? 1 : 0)) changes.emit({ jobID, isWaiting: count > 0 });
  };
  return {
    begin(jobID) {
      add(jobID, 1);
      let isOver = false;
      return () => {
        if (!isOver) add(jobID, -1);
        isOver = true;
      };
    },
    has: (jobID) => calls.has(jobID),
    on: (listener) => changes.on(listener),
  };
}
