import type { Sandbox } from "modal";
import { type Clock, sleep } from "../../shared/clock.ts";
import { within } from "../../shared/time-limit.ts";
import type { CallDeps, ModalLimits } from "./limits.ts";
import { isNoMore, isRetryable, kindOf } from "./modal-error.ts";

/** Delays before the further attempts to terminate a sandbox. */
const RETRY_MS = [500, 2_000, 5_000];
const POLL_MS = 250;

/**
 * Terminates a sandbox and closes the handle's connection. No-op for a sandbox that no longer exists.
 * @throws what the SDK throws, after the last attempt
 */
export async function endSandbox(sandbox: Sandbox, { clock, log, limits }: CallDeps): Promise<void> {
  const limit = { clock, limitMs: limits.callMs, doing: `Ending sandbox ${sandbox.sandboxId}` };
  try {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await within(sandbox.terminate(), limit);
        break;
      } catch (error) {
        const kind = kindOf(error);
        if (isNoMore(kind) || kind === "invalid") return;
        const delayMs = RETRY_MS[attempt];
        if (delayMs === undefined || isRetryable(kind) === false) throw error;
        await sleep(clock, delayMs);
      }
    }
    if (!(await hasEnded(sandbox, clock, limits)))
      log("warn", "A terminated sandbox has not ended yet", { sandboxID: sandbox.sandboxId });
  } finally {
    sandbox.detach();
  }
}

/** Whether a terminated sandbox is reported as ended within `limits.terminateMs`. */
async function hasEnded(sandbox: Sandbox, clock: Clock, limits: ModalLimits): Promise<boolean> {
  for (const until = clock.now() + limits.terminateMs; ; await sleep(clock, POLL_MS)) {
    const limitMs = Math.max(1, until - clock.now());
    const code = await within(sandbox.poll(), { clock, limitMs, doing: "Polling a terminated sandbox" }).catch(
      (error: unknown) => (isNoMore(kindOf(error)) ? 137 : null),
    );
    if (code !== null) return true;
    if (clock.now() + POLL_MS >= until) return false;
  }
}
