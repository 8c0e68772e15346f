import { mkdir, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { prefixedId } from "./ids.ts";
import type { Snapshot } from "./messages.ts";
import { refuse } from "./refusal.ts";
import { copyTree, PathError, placeOf, removeTree } from "./root-tree.ts";
import type { ModalSandbox } from "./sandbox.ts";
import type { Handlers } from "./service.ts";
import type { World } from "./world.ts";

const KEPT = -1;

/** Router: snapshots of file systems as images, and images mounted in directories. Both are copies. */
export function snapshotHandlers(world: World): Handlers {
  // A retry carries the id of the first attempt and gets the same image.
  const taken = new Map<string, Promise<string>>();
  const mounts = new Map<string, string | null>();

  const take = async (request: Snapshot, kind: "filesystem" | "directory"): Promise<{ imageId: string }> => {
    const sandbox = world.task(request.taskId);
    sandbox.running();
    refuseExtras(request);
    if (!sandbox.used && (world.options.snapshotNeedsExec ?? true))
      refuse(
        "FAILED_PRECONDITION",
        `Nothing was executed in sandbox ${sandbox.id} yet: there is no file system to snapshot`,
      );
    const { ttlSeconds } = request;
    if (ttlSeconds !== undefined && ttlSeconds !== KEPT && ttlSeconds <= 0)
      refuse("INVALID_ARGUMENT", `ttl_seconds cannot be ${ttlSeconds}`);
    if (ttlSeconds === undefined && kind === "filesystem") refuse("INVALID_ARGUMENT", "ttl_seconds must be set");
    const key = `${sandbox.id} ${request.snapshotId}`;
    const known = taken.get(key) ?? freeze(world, sandbox, request, kind);
    taken.set(key, known);
    known.catch(() => taken.delete(key));
    return { imageId: await known };
  };

  return {
    TaskSnapshotFilesystem: (request: Snapshot) => take(request, "filesystem"),
    TaskSnapshotDirectory: (request: Snapshot) => take(request, "directory"),

    async TaskMountDirectory(request: Snapshot) {
      const sandbox = world.task(request.taskId);
      sandbox.running();
      refuseExtras(request);
      const image = request.imageId ? world.images.get(request.imageId) : null;
      const host = await hostOf(sandbox, pathOf(request));
      const key = `${sandbox.id} ${host}`;
      if (mounts.has(key)) await unmount(key, host, mounts);
      const beneath = (await stat(host).catch(() => null)) ? join(sandbox.scratch, prefixedId("beneath")) : null;
      if (beneath) await rename(host, beneath);
      mounts.set(key, beneath);
      await mkdir(host, { recursive: true });
      if (image) await copyTree(image.folder, host);
      return {};
    },

    async TaskUnmountDirectory(request: Snapshot) {
      const sandbox = world.task(request.taskId);
      sandbox.running();
      const host = await hostOf(sandbox, pathOf(request));
      const key = `${sandbox.id} ${host}`;
      if (!mounts.has(key)) refuse("FAILED_PRECONDITION", `Nothing is mounted at ${pathOf(request)}`);
      await unmount(key, host, mounts);
      return {};
    },
  };
}

async function freeze(
  world: World,
  sandbox: ModalSandbox,
  request: Snapshot,
  kind: "filesystem" | "directory",
): Promise<string> {
  const idle = sandbox.busy();
  try {
    const from = kind === "filesystem" ? sandbox.root : await hostOf(sandbox, pathOf(request));
    if (!(await stat(from).catch(() => null))?.isDirectory())
      return refuse("NOT_FOUND", `No directory ${pathOf(request)}`);
    const ttl = request.ttlSeconds ?? 30 * 24 * 3600;
    const image = await world.images.freeze(kind, from, sandbox.plan.image, ttl === KEPT ? null : ttl * world.secondMs);
    return image.id;
  } finally {
    idle();
  }
}

async function unmount(key: string, host: string, mounts: Map<string, string | null>): Promise<void> {
  await removeTree(host);
  const beneath = mounts.get(key);
  mounts.delete(key);
  if (beneath) {
    await mkdir(dirname(host), { recursive: true });
    await rename(beneath, host);
  }
}

const pathOf = (request: Snapshot): string => Buffer.from(request.path ?? []).toString();

async function hostOf(sandbox: ModalSandbox, path: string): Promise<string> {
  if (!path.startsWith("/") || path === "/")
    return refuse("INVALID_ARGUMENT", `Not a directory below /: ${JSON.stringify(path)}`);
  try {
    const place = await placeOf(sandbox.root, sandbox.disk.mounts, path);
    return place.readOnly ? refuse("FAILED_PRECONDITION", `${path} belongs to the system`) : place.host;
  } catch (error) {
    if (error instanceof PathError) return refuse("FAILED_PRECONDITION", `${path}: ${error.message}`);
    throw error;
  }
}

function refuseExtras(request: Snapshot): void {
  if (request.containerId !== "") refuse("INVALID_ARGUMENT", "The test server has no sidecars");
  if (request.customerSuppliedEncryptionKey !== undefined)
    refuse("INVALID_ARGUMENT", "The test server does not encrypt");
}
