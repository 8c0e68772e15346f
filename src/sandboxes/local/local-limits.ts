import { totalmem } from "node:os";
import type { DiskSpace } from "./free-disk-space.ts";
import type { ResourceLimits } from "./isolation.ts";
import type { SandboxMeta } from "./layout.ts";
import { machineProcessLimit } from "./process-limit.ts";

/** Limits that replace the defaults. */
export interface LocalLimits extends ResourceLimits {
  /** Disk that stays free for the machine, MiB: with less free no sandbox is created, and the largest one is ended. */
  readonly hostFreeMiB: number;
}

const MiB = 1024 * 1024;
const MEMORY_SHARE = 0.75;
const DISK_MIB = 20 * 1024;
const FILES = 1_000_000;
/** A sandbox may use at most this share of what is free when it is created. */
const SHARE_OF_FREE = 1 / 4;
const HOST_FREE_MIB = 512;

export const hostFreeMiB = (limits?: Partial<LocalLimits>): number => limits?.hostFreeMiB ?? HOST_FREE_MIB;

/** The disk limits of a new sandbox, which its record keeps. */
export const diskLimits = (
  free: DiskSpace,
  limits?: Partial<LocalLimits>,
): Pick<ResourceLimits, "diskMiB" | "files"> => ({
  diskMiB: limits?.diskMiB ?? Math.min(DISK_MIB, Math.floor((free.bytes / MiB) * SHARE_OF_FREE)),
  files: limits?.files ?? Math.min(FILES, Math.floor(free.files * SHARE_OF_FREE)),
});

/** All limits of a sandbox, new or attached to again. */
export const resourceLimits = (meta: SandboxMeta, limits?: Partial<LocalLimits>): ResourceLimits => ({
  processes: limits?.processes ?? machineProcessLimit(),
  memoryMiB: meta.memoryMiB ?? limits?.memoryMiB ?? Math.floor((totalmem() / MiB) * MEMORY_SHARE),
  diskMiB: meta.diskMiB,
  files: meta.files ?? FILES,
});
