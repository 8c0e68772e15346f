import type { ModalClient, Sandbox } from "modal";
import { PluginError } from "../../shared/error-code.ts";
import { within } from "../../shared/time-limit.ts";
import type { SandboxGpu } from "../port.ts";
import { UnreachableError } from "../unreachable.ts";
import type { CallDeps } from "./limits.ts";
import { isAway, isNoMore, isRetryable, kindOf, messageOf } from "./modal-error.ts";
import { type Prepared, prepareSandbox, readDevices } from "./prepare.ts";

const SANDBOX_ID = /^[A-Za-z0-9_-]{1,128}$/;
/** Ids of Modal's older backend. Only its sandboxes can have GPUs. */
const V1_ID = /^sb-[0-9A-Za-z]{22}$/;

/** Whether a sandbox is one of Modal's older backend. */
export const isOldBackend = (id: string): boolean => V1_ID.test(id);

/** Whether Modal could have made this id. */
export const isSandboxID = (text: string): boolean => SANDBOX_ID.test(text);

export interface Found {
  readonly sandbox: Sandbox;
  readonly prepared: Prepared;
  readonly gpu: SandboxGpu | null;
}

/**
 * Finds a live sandbox by its id, and reads what commands in it need to know.
 * @param connect the client, connected on first use
 * @throws PluginError `sandbox_lost`: not retryable when the sandbox has ended; retryable when that could not be determined,
 * because no second sandbox may be created while the first may still be live
 * @source Modal JS SDK 0.11.1: SandboxService.fromId asks nobody, Sandbox.poll does
 */
export async function findSandbox(
  connect: () => Promise<ModalClient>,
  sandboxID: string,
  deps: CallDeps,
): Promise<Found> {
  const gone = (why: string, cause?: unknown) =>
    new PluginError("sandbox_lost", `Sandbox ${sandboxID} no longer exists: ${why}.`, { cause, retryable: false });
  if (!isSandboxID(sandboxID)) throw gone("it is not the id of a sandbox");
  const { clock, limits } = deps;
  const client = await connect();
  const sandbox = await client.sandboxes.fromId(sandboxID);
  try {
    // Making the handle made no call, so only this one shows whether the sandbox exists.
    const code = await within(sandbox.poll(), {
      clock,
      limitMs: limits.callMs,
      doing: `Asking for sandbox ${sandboxID}`,
    });
    if (code !== null) throw gone(`it ended with ${code}`);
    const target = { ...deps, sandbox };
    const [prepared, gpu] = await Promise.all([
      prepareSandbox(target, null, limits.startMs, null),
      V1_ID.test(sandboxID) ? readDevices(target, null, limits.callMs) : null,
    ]);
    return { sandbox, prepared, gpu };
  } catch (error) {
    sandbox.detach();
    if (error instanceof PluginError && error.code === "sandbox_lost") throw error;
    const kind = kindOf(error);
    if (isNoMore(kind) || kind === "invalid") throw gone(messageOf(error), error);
    const message = `Sandbox ${sandboxID} could not be reached and may still be live: ${messageOf(error)}`;
    if (isAway(error)) throw new UnreachableError("sandbox_lost", message, { cause: error });
    throw new PluginError("sandbox_lost", message, { cause: error, retryable: isRetryable(kind) ?? true });
  }
}

/** Whether a sandbox has ended; null = Modal does not know it, or not with these credentials. @throws what the SDK throws */
export async function hasEnded(
  connect: () => Promise<ModalClient>,
  sandboxID: string,
  { clock, limits }: CallDeps,
): Promise<boolean | null> {
  if (!isSandboxID(sandboxID)) return null;
  const sandbox = await (await connect()).sandboxes.fromId(sandboxID);
  try {
    const limit = { clock, limitMs: limits.callMs, doing: `Asking for sandbox ${sandboxID}` };
    return (await within(sandbox.poll(), limit)) !== null;
  } catch (error) {
    if (isNoMore(kindOf(error)) || kindOf(error) === "invalid") return null;
    throw error;
  } finally {
    sandbox.detach();
  }
}
