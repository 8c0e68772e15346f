import { statfs } from "node:fs/promises";
import { PluginError } from "../../shared/error-code.ts";

/** What is free on a file system. */
export interface DiskSpace {
  readonly bytes: number;
  /** Inodes; infinite where the file system makes them on demand (btrfs). */
  readonly files: number;
}

/** Kept free for the machine. With less free, no sandbox is created, no snapshot taken, and the largest sandbox is ended. */
export interface HostReserve {
  readonly bytes: number;
  readonly files: number;
}

const RESERVED_FILES = 10_000;
/** Share of all inodes, on a file system with few of them. */
const RESERVED_SHARE = 0.05;

export async function readFreeSpace(path: string): Promise<DiskSpace> {
  const { bavail, bsize, files, ffree } = await statfs(path);
  return {
    bytes: Number(bavail) * Number(bsize),
    files: Number(files) === 0 ? Number.POSITIVE_INFINITY : Number(ffree),
  };
}

export async function readReserve(path: string, freeMiB: number): Promise<HostReserve> {
  const { files } = await statfs(path);
  return { bytes: freeMiB * 1024 * 1024, files: Math.min(RESERVED_FILES, Math.floor(Number(files) * RESERVED_SHARE)) };
}

/** What is short, for messages, when taking `needed` would leave less than the reserve; null when there is enough. */
export function shortage(
  free: DiskSpace,
  reserve: HostReserve,
  needed: DiskSpace = { bytes: 0, files: 0 },
): string | null {
  if (free.bytes - needed.bytes < reserve.bytes)
    return `only ${toMiB(free.bytes)} are free, and ${toMiB(reserve.bytes)} are reserved for the machine`;
  if (free.files - needed.files < reserve.files)
    return `only ${free.files} more files (inodes) fit, and ${reserve.files} are reserved for the machine`;
  return null;
}

export const toMiB = (bytes: number): string => `${Math.ceil(bytes / (1024 * 1024))} MiB`;

/** Refuses to create a sandbox where the host would have too little left. @throws PluginError `sandbox_create_failed` */
export function refuseShortage(name: string, rootDir: string, free: DiskSpace, reserve: HostReserve): void {
  const short = shortage(free, reserve);
  if (short === null) return;
  const message = `Could not create sandbox ${name} on the file system of ${rootDir}: ${short}. Free some space there.`;
  throw new PluginError("sandbox_create_failed", message, { retryable: true });
}
