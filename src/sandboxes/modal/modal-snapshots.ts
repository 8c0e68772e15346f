import { posix } from "node:path";
import type { Image, ModalClient, Sandbox as SdkSandbox } from "modal";
import type { Options } from "../../config/schema.ts";
import { PluginError } from "../../shared/error-code.ts";
import { within } from "../../shared/time-limit.ts";
import type { Sandbox, SandboxSpec, SnapshotStore } from "../port.ts";
import { toTtlMs, wholeSecondsMs } from "./durations.ts";
import { execOnce } from "./exec-once.ts";
import type { ExitSnapshots } from "./exit-snapshots.ts";
import { freezeSandbox } from "./freeze-sandbox.ts";
import { missingHandle } from "./handles.ts";
import { expired } from "./image-cache.ts";
import type { CallDeps } from "./limits.ts";
import { isRetryable, kindOf, messageOf } from "./modal-error.ts";
import type { ModalSandbox } from "./modal-sandbox.ts";
import type { SandboxCore } from "./sandbox-core.ts";
import { formatSnapshotID, hasMountsBelow, isOwnDirectory, parseSnapshotID, parseTarID } from "./snapshot-id.ts";
import type { TarFiles } from "./tar-files.ts";
import { RUN_DIR } from "./wrapper-script.ts";

/** Our time limit passes later than the call's own, whose message is more precise. */
const MARGIN_MS = 15_000;

export interface ModalSnapshotDeps extends CallDeps {
  readonly client: () => Promise<ModalClient>;
  readonly options: Pick<Options["modal"], "persistence" | "snapshotTtlDays">;
  readonly tars: TarFiles;
  readonly ours: (sandbox: Sandbox) => ModalSandbox;
  readonly exitSnapshots: Pick<ExitSnapshots, "ofLost">;
  readonly later: (work: Promise<unknown>) => void;
}

/** Snapshots at Modal, as images. @source Modal JS SDK 0.11.1, Sandbox.snapshotFilesystem and snapshotDirectory */
export function createModalSnapshots(deps: ModalSnapshotDeps): SnapshotStore {
  const { clock, limits, log } = deps;
  const { persistence } = deps.options;
  const ttlMs = toTtlMs(deps.options.snapshotTtlDays);

  async function removeImage(imageID: string): Promise<void> {
    const client = await deps.client();
    await within(client.images.delete(imageID), {
      clock,
      limitMs: limits.callMs,
      doing: `Removing snapshot ${imageID}`,
    }).catch((error: unknown) => {
      const kind = kindOf(error);
      if (kind === "gone" || kind === "expired" || kind === "invalid") return; // it does not exist any more
      throw new PluginError("snapshot_failed", `Could not remove snapshot ${imageID}: ${messageOf(error)}`, {
        cause: error,
        retryable: isRetryable(kind),
      });
    });
  }

  const removeLate = ({ imageId: imageID }: Pick<Image, "imageId">) =>
    deps.later(
      removeImage(imageID).catch((error: unknown) =>
        log("warn", "A late snapshot was not removed", { imageID, error: messageOf(error) }),
      ),
    );

  return {
    // Modal stores a snapshot as the difference to its image, and does not say what deleting that image does to it.
    derives: (snapshotID) => parseSnapshotID(snapshotID)?.path === null,
    async keep(sandbox) {
      const source = deps.ours(sandbox);
      const { workdir } = source;
      if (persistence === "snapshot_filesystem" || !isOwnDirectory(workdir)) return this.take(sandbox, null, null);
      const isTar = persistence === "tar";
      const taken = await (isTar ? deps.tars.save(source, workdir) : this.take(sandbox, workdir, null));
      const lacks = `It holds only ${workdir}, as the option modal.persistence says: what was installed or written elsewhere in the sandbox ends with it.`;
      return { ...taken, path: workdir, leftOut: [...taken.leftOut, lacks] };
    },
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
      core.requireLive();
      // Always an object with a positive number, because anything else silently means 55 s.
      const params = { timeoutMs: wholeSecondsMs(limits.snapshotMs), ttlMs };
      const taking = core.call((from) =>
        directory === null ? from.snapshotFilesystem(params) : from.snapshotDirectory(directory, params),
      );
      const expiresAt = ttlMs === null ? null : clock.now() + ttlMs;
      try {
        const image = await within(unlessLost(taking, core), {
          clock,
          limitMs: limits.snapshotMs + MARGIN_MS,
          doing: `The snapshot of sandbox ${sandbox.id}`,
          onLate: removeLate,
        });
        const id = formatSnapshotID({ imageID: image.imageId, path: directory });
        return { id, sizeBytes: null, files: null, leftOut: [], expiresAt };
      } catch (error) {
        const kind = kindOf(error);
        const lost = await core.findEndReason();
        if (lost !== null)
          throw new PluginError("sandbox_lost", `Sandbox ${sandbox.id} ended before its snapshot was taken: ${lost}.`, {
            cause: error,
            retryable: false,
          });
        const advice = kind === "timed_out" ? " Raise modal.snapshotTimeoutSeconds, or keep less in the sandbox." : "";
        throw new PluginError(
          "snapshot_failed",
          `Could not take a snapshot of sandbox ${sandbox.id}: ${messageOf(error)}.${advice}`,
          { cause: error, retryable: isRetryable(kind) },
        );
      }
    },
    retire: async () => null,
    ofLost: (sandboxID) => deps.exitSnapshots.ofLost(sandboxID),
    async freeze(sandboxID, isRefused) {
      const own = { ...deps, client: await deps.client(), ttlMs, marginMs: MARGIN_MS };
      return freezeSandbox(own, sandboxID, isRefused, removeLate);
    },
    orphans: () => deps.tars.orphans(), // those at Modal expire by themselves
    async remove(snapshotID) {
      if (parseTarID(snapshotID)) return deps.tars.remove(snapshotID);
      const snapshot = parseSnapshotID(snapshotID);
      if (snapshot !== null) await removeImage(snapshot.imageID);
    },
  };
}

/** Fails as soon as the sandbox is known to be lost: its router may never answer. */
const unlessLost = <T>(taking: Promise<T>, { ended, id }: SandboxCore): Promise<T> =>
  Promise.race([taking, ended.then(() => Promise.reject(new Error(`Sandbox ${id} has ended`)))]);

/** Removes first what the image has there: the job may have deleted it. */
const COPY = `mkdir -p -- "$2" && { [ "$3" != clear ] || find "$2" -mindepth 1 -maxdepth 1 -exec rm -rf -- {} +; } && cp -a -- "$1/." "$2/"`;

/**
 * Copies the files of a directory's snapshot back to their path; no-op for a snapshot of a whole file system. The snapshot
 * does not stay mounted, because the sandbox's own snapshots would lack the mounted files.
 * What the image has there is removed first, unless something is mounted below.
 * @throws what the SDK throws; the sandbox must not be used then
 * @source Modal JS SDK 0.11.1, Sandbox.mountImage
 */
export async function restoreDirectory(
  client: ModalClient,
  sandbox: SdkSandbox,
  { snapshotID, machine }: SandboxSpec,
  { clock, limits }: CallDeps,
  id: string,
): Promise<void> {
  const snapshot = snapshotID === null ? null : parseSnapshotID(snapshotID);
  if (snapshot?.path == null) return;
  const clears = !hasMountsBelow(machine, snapshot.path);
  const limit = { clock, limitMs: limits.snapshotMs, doing: `Restoring ${snapshot.path} from ${snapshot.imageID}` };
  const from = `${RUN_DIR}/${id}.mount`;
  const image = await within(client.images.fromId(snapshot.imageID), { ...limit, limitMs: limits.callMs });
  const made = await execOnce(sandbox, ["mkdir", "-p", from], limit);
  await within(sandbox.mountImage(from, image), limit).catch((error: unknown) => {
    throw missingHandle(error) === null ? error : expired(snapshotID ?? "", error);
  });
  const copied = await execOnce(
    sandbox,
    ["/bin/sh", "-c", COPY, "restore", from, snapshot.path, clears ? "clear" : ""],
    limit,
  );
  await within(sandbox.unmountImage(from), limit);
  if (made.code === 0 && copied.code === 0) return;
  throw new Error(
    `${limit.doing} ended with ${copied.code}: ${Buffer.from(copied.stderr).toString().trim().slice(0, 300)}`,
  );
}
