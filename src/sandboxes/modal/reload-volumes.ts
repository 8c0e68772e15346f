import { within } from "../../shared/time-limit.ts";
import type { VolumeReload } from "../port.ts";
import { wholeSecondsMs } from "./durations.ts";
import { messageOf, statusOf } from "./modal-error.ts";
import type { SandboxCore } from "./sandbox-core.ts";

/** @source Modal's client and documents: "there are open files preventing the operation", "volume busy" */
const BUSY = /open files|\bbusy\b|in use/i;

/** FAILED_PRECONDITION, ABORTED: Modal's own clients take both for a refusal of this kind, whatever the words. */
const REFUSALS = [9, 10];

/**
 * Has a sandbox's volumes show what others have committed to them.
 * @throws PluginError `sandbox_lost`
 * @source Modal JS SDK 0.11.1, Sandbox.reloadVolumes; the server refuses while processes keep files open on a volume
 */
export async function reloadVolumes(core: SandboxCore): Promise<VolumeReload> {
  const { clock, limits } = core;
  const limit = { clock, limitMs: limits.execMs, doing: `Reloading the volumes of sandbox ${core.id}` };
  try {
    await core.call((sandbox) => within(sandbox.reloadVolumes({ timeoutMs: wholeSecondsMs(limits.execMs) }), limit));
    return { kind: "reloaded" };
  } catch (error) {
    const isRefused = BUSY.test(messageOf(error)) || REFUSALS.includes(statusOf(error) ?? 0);
    if (isRefused && (await core.findEndReason()) === null) return { kind: "busy", why: messageOf(error) };
    throw await core.translate(error);
  }
}
