import { type Clock, sleep } from "../../shared/clock.ts";
import { within } from "../../shared/time-limit.ts";

/**
 * Lets the first requests of new jobs go before the next step of the session that has started them. OpenCode does one thing
 * at a time: once the call has answered, it takes a snapshot of the project and asks the session's model, and what jobs send
 * meanwhile waits for that.
 */
export interface FirstRequests {
  /** A session is about to be made for the job. */
  begins(jobID: string): void;
  /** The job's model is about to be asked. */
  isSent(jobID: string): void;
  /**
   * Resolves once the models of those of the jobs are asked whose sessions are being made by now; after half a second at the
   * latest, and when `signal` aborts. Never rejects.
   */
  sent(jobIDs: readonly string[], signal: AbortSignal): Promise<void>;
}

/** Enough for a few jobs. Of many, the rest are asked beside the session. */
const LIMIT_MS = 500;

export function createFirstRequests(clock: Clock): FirstRequests {
  const open = new Map<string, { readonly promise: Promise<void>; readonly resolve: () => void }>();

  function isSent(jobID: string): void {
    open.get(jobID)?.resolve();
    open.delete(jobID);
  }

  return {
    begins(jobID) {
      open.set(jobID, Promise.withResolvers());
      clock.after(LIMIT_MS, () => isSent(jobID));
    },
    isSent,
    async sent(jobIDs, signal) {
      await sleep(clock, 0); // recorded jobs begin after whoever recorded them
      const requests = jobIDs.flatMap((id) => open.get(id)?.promise ?? []);
      const all = Promise.all(requests);
      await within(all, { clock, limitMs: LIMIT_MS, doing: "Asking the models of new jobs", signal }).catch(() => {});
      if (requests.length > 0) await sleep(clock, 0); // OpenCode is about to send them
    },
  };
}
