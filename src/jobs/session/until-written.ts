import { type Clock, sleep } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import { isUnwritable, toReason } from "../store/unusable.ts";

/** Time after which a write that failed is tried again: a full disk gets room, a lock is given up. */
const WRITE_RETRY_MS = 2_000;

/**
 * Writes to the state what must not be lost, such as how a job has ended: as often as it takes, where the state cannot be
 * written to for now. The caller goes on as if nothing had happened, only later.
 * @param write may be called again after it failed
 * @param isOver asked before each further try: whether there is nobody any more to write for
 * @returns whether it was written
 */
export async function untilWritten(
  write: () => void,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  what: { readonly jobID: string; readonly isOver: () => boolean; readonly signal?: AbortSignal },
): Promise<boolean> {
  for (;;) {
    try {
      write();
      return true;
    } catch (error) {
      if (!isUnwritable(error)) throw error;
      log("error", "a job's state could not be written, and is tried again", {
        jobID: what.jobID,
        reason: toReason(error),
      });
    }
    await sleep(clock, WRITE_RETRY_MS, what.signal);
    if (what.isOver()) return false;
  }
}
