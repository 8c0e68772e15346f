import { constants } from "node:fs";
import { copyFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { PluginError } from "../../shared/error-code.ts";
import type { SnapshotUsage } from "../port.ts";
import { type DiskSpace, type HostReserve, readFreeSpace, shortage, toMiB } from "./free-disk-space.ts";
import type { TreeTools } from "./isolation.ts";
import { PARTS, type Part } from "./layout.ts";
import type { LocalSandbox } from "./local-sandbox.ts";
import { addSizes } from "./tree-measure.ts";

/**
 * A job's snapshots may together use half of the disk that would be free without them, and no more than twice the disk
 * limits of its sandbox.
 */
const SHARE_OF_FREE = 1 / 2;
const SANDBOXES = 2;

export interface SnapshotQuotaDeps {
  readonly rootDir: string;
  readonly reserve: () => Promise<HostReserve>;
  readonly trees: TreeTools;
  readonly signal: AbortSignal;
}

/**
 * Refuses a snapshot that would fill the machine's disk or exceed the quota of its job's snapshots.
 * @param used what the job's snapshots use already; null = the job did not ask for this snapshot, so its quota does not count
 * @throws PluginError `snapshot_failed`
 */
export async function refuseOverQuota(
  deps: SnapshotQuotaDeps,
  sandbox: Pick<LocalSandbox, "dirs" | "limits">,
  parts: readonly Part[],
  used: SnapshotUsage | null,
): Promise<void> {
  const paths = parts.length === PARTS.length ? [sandbox.dirs.root] : parts.map((part) => sandbox.dirs[part]);
  const size = addSizes(await deps.trees.measure(paths, deps.signal));
  const free = await readFreeSpace(deps.rootDir);
  const needed = { ...size, bytes: (await sharesBlocks(deps.rootDir, sandbox.dirs.root)) ? 0 : size.bytes };
  const short = shortage(free, await deps.reserve(), needed);
  if (short !== null) {
    const message = `it needs ${toMiB(needed.bytes)} and ${needed.files} files on the machine's disk, where ${short}.`;
    throw new PluginError("snapshot_failed", message, { retryable: true });
  }
  const over = used && quotaExceeded(used, size, free, sandbox.limits);
  if (over) throw new PluginError("snapshot_failed", over, { retryable: false });
}

/** Why a snapshot of this size would exceed the quota of its job's snapshots; null when it would not. */
export function quotaExceeded(
  used: SnapshotUsage,
  size: DiskSpace,
  free: DiskSpace,
  limits: { readonly diskMiB: number; readonly files: number },
): string | null {
  const bytes = Math.min(SANDBOXES * limits.diskMiB * 1024 * 1024, (free.bytes + used.bytes) * SHARE_OF_FREE);
  const files = Math.floor(Math.min(SANDBOXES * limits.files, (free.files + used.files) * SHARE_OF_FREE));
  const isOver = used.bytes + size.bytes > bytes || used.files + size.files > files;
  if (!isOver) return null;
  return (
    `this job's snapshots (${used.count}) take ${toMiB(used.bytes)} and ${used.files} files, this one would take ` +
    `${toMiB(size.bytes)} and ${size.files} files more, and the snapshots of one job may take ${toMiB(bytes)} and ${files} files ` +
    "together. Remove what can be made again (build output, caches, data sets), or freeze one directory with path."
  );
}

/** Whether copies on this file system share their blocks with the original and so take no space (btrfs, XFS). */
async function sharesBlocks(rootDir: string, sandboxRoot: string): Promise<boolean> {
  const copy = join(rootDir, `.clone-probe-${basename(sandboxRoot)}`);
  try {
    await copyFile(join(sandboxRoot, "meta.json"), copy, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    return false; // as on ext4, where every copy takes space of its own
  } finally {
    await rm(copy, { force: true });
  }
}
