import { readlinkSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import type { TreeSize } from "../tree-measure.ts";

/*
 * A deleted file uses disk space for as long as a process has it open, and measuring folders does not find it.
 */

/** Limit on descriptors examined: far more than programs have, and few enough not to block this process. */
const MAX_DESCRIPTORS = 200_000;
const DELETED = / \(deleted\)$/;

/**
 * The size of the deleted files on the file system of `folder` that these processes have open. A process whose descriptors
 * cannot be read, because it ended or hides them, counts as having none.
 * @throws Error when they have too many files open
 */
export async function deletedOpenFiles(pids: readonly number[], folder: string): Promise<TreeSize> {
  const device = statSync(folder).dev;
  const seen = new Map<number, number>();
  let looked = 0;
  for (const pid of pids) {
    const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
    looked += names.length;
    if (looked > MAX_DESCRIPTORS) throw new Error(`its processes have more than ${MAX_DESCRIPTORS} files open`);
    for (const name of names) {
      const path = `/proc/${pid}/fd/${name}`;
      try {
        // The name first: asking the file itself may block forever where its file system does not answer.
        if (!DELETED.test(readlinkSync(path))) continue;
        const { dev, ino, blocks, nlink } = statSync(path);
        if (dev === device && nlink === 0) seen.set(ino, blocks * 512);
      } catch {
        // closed meanwhile
      }
    }
  }
  return { bytes: [...seen.values()].reduce((sum, bytes) => sum + bytes, 0), files: seen.size };
}
