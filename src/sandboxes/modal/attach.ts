import type { ModalClient, Sandbox } from "modal";
import { within } from "../../shared/deadline.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { SandboxGpu } from "../port.ts";
import { isRetryable, kindOf, wordsOf } from "./modal-error.ts";
import { type Prepared, prepareSandbox, readDevices } from "./prepare.ts";
import type { StrayDeps } from "./strays.ts";

const SANDBOX_ID = /^[A-Za-z0-9_-]{1,128}$/;
/** Ids of the older backend, where the GPUs are. */
const OLDER_ID = /^sb-[0-9A-Za-z]{22}$/;

export const isSandboxID = (text: string): boolean => SANDBOX_ID.test(text);

export interface Found {
  readonly sandbox: Sandbox;
  readonly prepared: Prepared;
  readonly gpu: SandboxGpu | null;
}

/**
 * Finds a living sandbox by its id.
 * @throws PluginError `sandbox_lost`: not retryable when it is gone, retryable when nobody could tell, since a second one
 * must not be made while the first may live
 */
export async function findSandbox(
  connect: () => Promise<ModalClient>,
  sandboxID: string,
  deps: StrayDeps,
): Promise<Found> {
  const gone = (why: string, cause?: unknown) =>
    new PluginError("sandbox_lost", `Sandbox ${sandboxID} no longer exists: ${why}.`, { cause, retryable: false });
  if (!isSandboxID(sandboxID)) throw gone("it is no id of a sandbox");
  const { clock, limits } = deps;
  const client = await connect();
  const sandbox = await client.sandboxes.fromId(sandboxID);
  try {
    // The SDK's handle asks nobody: an id that means nothing shows only now.
    const code = await within(sandbox.poll(), {
      clock,
      limitMs: limits.callMs,
      doing: `Asking for sandbox ${sandboxID}`,
    });
    if (code !== null) throw gone(`it ended with ${code}`);
    const target = { ...deps, sandbox };
    const [prepared, gpu] = await Promise.all([
      prepareSandbox(target, null, limits.startMs),
      OLDER_ID.test(sandboxID) ? readDevices(target, null, limits.callMs) : null,
    ]);
    return { sandbox, prepared, gpu };
  } catch (error) {
    sandbox.detach();
    if (error instanceof PluginError && error.code === "sandbox_lost") throw error;
    const kind = kindOf(error);
    if (kind === "gone" || kind === "invalid") throw gone(wordsOf(error), error);
    const message = `Sandbox ${sandboxID} could not be reached, it may still live: ${wordsOf(error)}`;
    throw new PluginError("sandbox_lost", message, { cause: error, retryable: isRetryable(kind) ?? true });
  }
}
