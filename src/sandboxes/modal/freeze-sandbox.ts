import type { Image, ModalClient } from "modal";
import { PluginError } from "../../shared/error-code.ts";
import { within } from "../../shared/time-limit.ts";
import type { SandboxSpec, TakenSnapshot } from "../port.ts";
import { isSandboxID } from "./attach.ts";
import { wholeSecondsMs } from "./durations.ts";
import { execOnce } from "./exec-once.ts";
import type { CallDeps } from "./limits.ts";
import { isRetryable, kindOf, messageOf } from "./modal-error.ts";
import { formatSnapshotID } from "./snapshot-id.ts";

/**
 * Freezes the file system of a sandbox that is not ours, which goes on as it was: one command that does nothing runs in it,
 * because Modal takes no snapshot of a sandbox in which nothing was run.
 * @throws PluginError `not_found`: it has ended, never was, or has tags that `isRefused`; `snapshot_failed`
 * @source Modal JS SDK 0.11.1, Sandbox.snapshotFilesystem
 */
export async function freezeSandbox(
  deps: CallDeps & { readonly client: ModalClient; readonly ttlMs: number | null; readonly marginMs: number },
  sandboxID: string,
  isRefused: (tags: SandboxSpec["tags"]) => boolean,
  onLate: (image: Image) => void,
): Promise<TakenSnapshot> {
  const { client, clock, limits, ttlMs } = deps;
  const gone = (cause?: unknown) =>
    new PluginError("not_found", `There is no running sandbox ${sandboxID}.`, { cause, retryable: false });
  if (!isSandboxID(sandboxID)) throw gone();
  const limit = { clock, limitMs: limits.callMs, doing: `Asking for sandbox ${sandboxID}` };
  const sandbox = await client.sandboxes.fromId(sandboxID);
  try {
    if ((await within(sandbox.poll(), limit)) !== null) throw gone();
    if (isRefused(await within(sandbox.getTags(), limit))) throw gone();
    const doing = `The snapshot of sandbox ${sandboxID}`;
    await execOnce(sandbox, ["/bin/sh", "-c", ":"], { clock, limitMs: limits.startMs, doing });
    const taking = sandbox.snapshotFilesystem({ timeoutMs: wholeSecondsMs(limits.snapshotMs), ttlMs });
    const image = await within(taking, { clock, limitMs: limits.snapshotMs + deps.marginMs, doing, onLate });
    const expiresAt = ttlMs === null ? null : clock.now() + ttlMs;
    return {
      id: formatSnapshotID({ imageID: image.imageId, path: null }),
      sizeBytes: null,
      files: null,
      leftOut: [],
      expiresAt,
    };
  } catch (error) {
    if (error instanceof PluginError) throw error;
    const kind = kindOf(error);
    if (kind === "gone" || kind === "invalid") throw gone(error);
    const message = `Could not take a snapshot of sandbox ${sandboxID}: ${messageOf(error)}.`;
    throw new PluginError("snapshot_failed", message, { cause: error, retryable: isRetryable(kind) });
  } finally {
    sandbox.detach();
  }
}
