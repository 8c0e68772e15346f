import { constants } from "node:fs";
import { copyFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { PluginError } from "../../shared/error-code.ts";
import type { SnapshotCharge } from "../port.ts";
import { type DiskRoom, type HostReserve, readRoom, shortage, toMiB } from "./disk-room.ts";
import type { TreeTools } from "./isolation.ts";
import { PARTS, type Part } from "./layout.ts";
import type { LocalSandbox } from "./local-sandbox.ts";

/** Of what would be free without them, a job's snapshots may take half; and at most twice what its sandbox may. */
const SHARE = 1 / 2;
const SANDBOXES = 2;

export interface SnapshotRoomDeps {
  readonly rootDir: string;
  readonly reserve: () => Promise<HostReserve>;
  readonly trees: TreeTools;
  readonly signal: AbortSignal;
}

/**
 * Refuses a snapshot that would fill the machine's disk, or that passes what the snapshots of its job may take together.
 * @throws PluginError `snapshot_failed`
 */
export async function refuseWithoutRoom(
  deps: SnapshotRoomDeps,
  sandbox: Pick<LocalSandbox, "dirs" | "limits">,
  parts: readonly Part[],
  charged: SnapshotCharge | null,
): Promise<void> {
  const paths = parts.length === PARTS.length ? [sandbox.dirs.root] : parts.map((part) => sandbox.dirs[part]);
  const sizes = await Promise.all(paths.map((path) => deps.trees.measure(path, deps.signal)));
  const size = {
    bytes: sizes.reduce((sum, { bytes }) => sum + bytes, 0),
    files: sizes.reduce((sum, { files }) => sum + files, 0),
  };
  const room = await readRoom(deps.rootDir);
  const needed = { ...size, bytes: (await clones(deps.rootDir, sandbox.dirs.root)) ? 0 : size.bytes };
  const short = shortage(room, await deps.reserve(), needed);
  if (short !== null) {
    const message = `it needs ${toMiB(needed.bytes)} and ${needed.files} files on the machine's disk, where ${short}.`;
    throw new PluginError("snapshot_failed", message, { retryable: true });
  }
  const over = charged && overCharge(charged, size, room, sandbox.limits);
  if (over) throw new PluginError("snapshot_failed", over, { retryable: false });
}

/** Why a job's snapshots would take too much with this one; null when they do not. */
export function overCharge(
  charged: SnapshotCharge,
  size: DiskRoom,
  room: DiskRoom,
  limits: { readonly diskMiB: number; readonly files: number },
): string | null {
  const bytes = Math.min(SANDBOXES * limits.diskMiB * 1024 * 1024, (room.bytes + charged.bytes) * SHARE);
  const files = Math.floor(Math.min(SANDBOXES * limits.files, (room.files + charged.files) * SHARE));
  const isOver = charged.bytes + size.bytes > bytes || charged.files + size.files > files;
  if (!isOver) return null;
  return (
    `the ${charged.count} snapshots of this job take ${toMiB(charged.bytes)} and ${charged.files} files, this one would take ` +
    `${toMiB(size.bytes)} and ${size.files} files more, and the snapshots of one job may take ${toMiB(bytes)} and ${files} files ` +
    "together. Remove what can be made again (build output, caches, data sets), or freeze one directory with path."
  );
}

/** Whether copies on this file system share their blocks with the original, and so take no room. */
async function clones(rootDir: string, sandboxRoot: string): Promise<boolean> {
  const copy = join(rootDir, `.clone-probe-${basename(sandboxRoot)}`);
  try {
    await copyFile(join(sandboxRoot, "meta.json"), copy, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    return false; // As on ext4: every copy takes its own.
  } finally {
    await rm(copy, { force: true });
  }
}
