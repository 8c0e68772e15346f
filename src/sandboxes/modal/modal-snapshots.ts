import { posix } from "node:path";
import type { ModalClient, Sandbox as SdkSandbox } from "modal";
import { within } from "../../shared/deadline.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Sandbox, SnapshotStore } from "../port.ts";
import { wholeSecondsMs } from "./durations.ts";
import { execOnce } from "./exec-once.ts";
import { isRetryable, kindOf, wordsOf } from "./modal-error.ts";
import type { ModalSandbox } from "./modal-sandbox.ts";
import { formatSnapshotID, isOwnDirectory, parseSnapshotID } from "./snapshot-id.ts";
import type { StrayDeps } from "./strays.ts";
import { RUN_DIR } from "./wrapper-script.ts";

/** Our deadline comes after the call's own, which tells more. */
const MARGIN_MS = 15_000;

export interface ModalSnapshotDeps extends StrayDeps {
  readonly client: () => Promise<ModalClient>;
  readonly ttlMs: number | null;
  readonly ours: (sandbox: Sandbox) => ModalSandbox;
  readonly later: (work: Promise<unknown>) => void;
}

export function createModalSnapshots(deps: ModalSnapshotDeps): SnapshotStore {
  const { clock, limits, log } = deps;

  async function removeImage(imageID: string): Promise<void> {
    const client = await deps.client();
    await within(client.images.delete(imageID), {
      clock,
      limitMs: limits.callMs,
      doing: `Removing snapshot ${imageID}`,
    }).catch((error: unknown) => {
      const kind = kindOf(error);
      if (kind === "gone" || kind === "invalid") return; // It is no more.
      throw new PluginError("snapshot_failed", `Could not remove snapshot ${imageID}: ${wordsOf(error)}`, {
        cause: error,
        retryable: isRetryable(kind),
      });
    });
  }

  return {
    async take(sandbox, path) {
      const source = deps.ours(sandbox);
      const { core } = source;
      const directory = path === null ? null : posix.resolve(source.workdir, path);
      if (directory !== null && !isOwnDirectory(directory)) {
        throw new PluginError(
          "snapshot_failed",
          `${directory} belongs to the image and cannot be put back into another sandbox; snapshot a directory of your own, or the whole file system.`,
          { retryable: false },
        );
      }
      if (core.why !== null)
        throw new PluginError("sandbox_lost", `Sandbox ${sandbox.id} has ended: ${core.why}.`, { retryable: false });
      // Always an object with a positive number: anything else silently means 55 s.
      const params = { timeoutMs: wholeSecondsMs(limits.snapshotMs), ttlMs: deps.ttlMs };
      const taking = core.call((from) =>
        directory === null ? from.snapshotFilesystem(params) : from.snapshotDirectory(directory, params),
      );
      const expiresAt = deps.ttlMs === null ? null : clock.now() + deps.ttlMs;
      try {
        const image = await within(taking, {
          clock,
          limitMs: limits.snapshotMs + MARGIN_MS,
          doing: `The snapshot of sandbox ${sandbox.id}`,
          onLate: (late) =>
            deps.later(
              removeImage(late.imageId).catch((error: unknown) =>
                log("warn", "A late snapshot was not removed", { imageID: late.imageId, error: wordsOf(error) }),
              ),
            ),
        });
        const id = formatSnapshotID({ imageID: image.imageId, path: directory });
        return { id, sizeBytes: null, files: null, leftOut: [], expiresAt };
      } catch (error) {
        const kind = kindOf(error);
        const lost = await core.whyEnded();
        if (lost !== null)
          throw new PluginError("sandbox_lost", `Sandbox ${sandbox.id} ended before its snapshot was taken: ${lost}.`, {
            cause: error,
            retryable: false,
          });
        const advice = kind === "timed_out" ? " Raise modal.snapshotTimeoutSeconds, or keep less in the sandbox." : "";
        throw new PluginError(
          "snapshot_failed",
          `Could not take a snapshot of sandbox ${sandbox.id}: ${wordsOf(error)}.${advice}`,
          { cause: error, retryable: isRetryable(kind) },
        );
      }
    },
    leftBehind: async () => [], // each has an expiry at Modal
    async remove(snapshotID) {
      const snapshot = parseSnapshotID(snapshotID);
      if (snapshot !== null) await removeImage(snapshot.imageID);
    },
  };
}

const COPY = 'mkdir -p -- "$2" && cp -a -- "$1/." "$2/"';

/**
 * Puts the files of a directory's snapshot back where they were. Copied and not left mounted: a mount would be missing
 * from the sandbox's own snapshots. Rejects with what the SDK throws; the sandbox is of no use then.
 */
export async function restoreDirectory(
  client: ModalClient,
  sandbox: SdkSandbox,
  snapshotID: string,
  { clock, limits }: StrayDeps,
  id: string,
): Promise<void> {
  const snapshot = parseSnapshotID(snapshotID);
  if (snapshot?.path == null) return;
  const limit = { clock, limitMs: limits.snapshotMs, doing: `Restoring ${snapshot.path} from ${snapshot.imageID}` };
  const from = `${RUN_DIR}/${id}.mount`;
  const image = await within(client.images.fromId(snapshot.imageID), { ...limit, limitMs: limits.callMs });
  const made = await execOnce(sandbox, ["mkdir", "-p", from], limit);
  await within(sandbox.mountImage(from, image), limit);
  const copied = await execOnce(sandbox, ["/bin/sh", "-c", COPY, "restore", from, snapshot.path], limit);
  await within(sandbox.unmountImage(from), limit);
  if (made.code === 0 && copied.code === 0) return;
  throw new Error(
    `${limit.doing} ended with ${copied.code}: ${Buffer.from(copied.stderr).toString().trim().slice(0, 300)}`,
  );
}
