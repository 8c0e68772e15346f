import { type Clock, sleep } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";

const RETRY_DELAYS_MS = [1_000, 4_000];

/** Does work that many jobs wait for, and again where its failure says that this may help, as creating any sandbox is. */
export async function tryAgain<T>(
  { clock, log, ending }: { readonly clock: Clock; readonly log: Log; readonly ending: AbortSignal },
  what: string,
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const delayMs = RETRY_DELAYS_MS[attempt];
      const mayHelp = error instanceof PluginError && error.retryable === true;
      if (!mayHelp || delayMs === undefined || ending.aborted) throw error;
      log("warn", `${what} failed, trying again`, { attempt, reason: error.message });
      await sleep(clock, delayMs, ending);
      if (ending.aborted) throw error;
    }
  }
}
