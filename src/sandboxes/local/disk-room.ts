import { statfs } from "node:fs/promises";

/** What is free on a file system. */
export interface DiskRoom {
  readonly bytes: number;
  /** Inodes; infinite where the file system makes them as it goes (btrfs). */
  readonly files: number;
}

/** What is left to the machine: with less free no sandbox is made and no snapshot taken, and the largest sandbox is ended. */
export interface HostReserve {
  readonly bytes: number;
  readonly files: number;
}

const RESERVED_FILES = 10_000;
/** Of all inodes, on a small file system. */
const RESERVED_SHARE = 0.05;

export async function readRoom(path: string): Promise<DiskRoom> {
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

/** What is short, in words, where `needed` would leave less than the reserve; null where there is room. */
export function shortage(
  room: DiskRoom,
  reserve: HostReserve,
  needed: DiskRoom = { bytes: 0, files: 0 },
): string | null {
  if (room.bytes - needed.bytes < reserve.bytes)
    return `only ${toMiB(room.bytes)} are free, and ${toMiB(reserve.bytes)} stay free for the machine`;
  if (room.files - needed.files < reserve.files)
    return `only ${room.files} more files (inodes) fit, and room for ${reserve.files} stays free for the machine`;
  return null;
}

export const toMiB = (bytes: number): string => `${Math.ceil(bytes / (1024 * 1024))} MiB`;
