import type { Sandbox } from "modal";
import { sleep } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { within } from "../../shared/time-limit.ts";
import type { CallDeps } from "./limits.ts";
import { isNoMore, isRetryable, kindOf, messageOf } from "./modal-error.ts";
import type { SandboxCore } from "./sandbox-core.ts";

/** Delays before the further attempts to terminate a sandbox. */
const RETRY_MS = [500, 2_000, 5_000];
/** Delays between two questions whether a sandbox has ended: from the first to the longest, each twice the one before. */
const FIRST_POLL_MS = 250;
const LONGEST_POLL_MS = 4_000;

/**
 * Has Modal terminate a sandbox. Resolves when Modal has accepted that: the end may take 20 seconds more, for which nobody
 * need wait. Closes the handle's connection. No-op for a sandbox that no longer exists.
 * @throws what the SDK throws, after the last attempt
 */
export async function endSandbox(sandbox: Sandbox, deps: CallDeps): Promise<void> {
  try {
    await askToEnd(sandbox, deps);
  } finally {
    sandbox.detach();
  }
}

/**
 * Has Modal terminate a sandbox that this process may have in use, as `endSandbox` does; it is told when the end begins and
 * when it has come.
 * @param sandbox a new handle, because it is closed then, while commands may still read their last output through the one in use
 * @param core null = this process does not have it in use
 * @param signal aborts the wait for the end
 * @throws PluginError `sandbox_lost`
 */
export async function terminate(
  sandbox: Sandbox,
  core: SandboxCore | null,
  deps: CallDeps,
  signal: AbortSignal,
): Promise<void> {
  if (core) core.isBeingTerminated = true;
  await askToEnd(sandbox, deps).catch((error: unknown) => {
    sandbox.detach();
    if (core) core.isBeingTerminated = false;
    const message = `Sandbox ${sandbox.sandboxId} could not be ended: ${messageOf(error)}`;
    throw new PluginError("sandbox_lost", message, { cause: error, retryable: isRetryable(kindOf(error)) });
  });
  if (!core) return sandbox.detach();
  core.beginEnd("it was terminated");
  void untilEnded(sandbox, deps, signal).then(() => core.end("it was terminated"));
}

/** What `endSandbox` does without closing the handle, which `untilEnded` still needs. @throws what the SDK throws */
async function askToEnd(sandbox: Sandbox, { clock, limits }: CallDeps): Promise<void> {
  const limit = { clock, limitMs: limits.callMs, doing: `Ending sandbox ${sandbox.sandboxId}` };
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await within(sandbox.terminate(), limit);
    } catch (error) {
      const kind = kindOf(error);
      if (isNoMore(kind) || kind === "invalid") return;
      // A refusal in unknown words may say that it has ended already.
      if (kind === "other" && (await hasEnded(sandbox, { clock, limits }))) return;
      const delayMs = RETRY_MS[attempt];
      if (delayMs === undefined || isRetryable(kind) === false) throw error;
      await sleep(clock, delayMs);
    }
  }
}

/**
 * Resolves when Modal reports a terminated sandbox as ended, or when it has not after `limits.terminateMs`, or when `signal`
 * aborts. Closes the handle's connection. Never rejects.
 */
async function untilEnded(sandbox: Sandbox, { clock, log, limits }: CallDeps, signal: AbortSignal): Promise<void> {
  const until = clock.now() + limits.terminateMs;
  for (let pauseMs = FIRST_POLL_MS; !signal.aborted; pauseMs = Math.min(pauseMs * 2, LONGEST_POLL_MS)) {
    if (await hasEnded(sandbox, { clock, limits })) break;
    if (clock.now() + pauseMs >= until) {
      log("warn", "A terminated sandbox has not ended yet", { sandboxID: sandbox.sandboxId });
      break;
    }
    await sleep(clock, pauseMs, signal);
  }
  sandbox.detach();
}

const hasEnded = (sandbox: Sandbox, { clock, limits }: Pick<CallDeps, "clock" | "limits">): Promise<boolean> =>
  within(sandbox.poll(), { clock, limitMs: limits.callMs, doing: "Polling a terminated sandbox" }).then(
    (code) => code !== null,
    (error: unknown) => isNoMore(kindOf(error)),
  );
