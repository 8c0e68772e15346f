import { readlinkSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import type { TreeSize } from "../tree-measure.ts";

/*
 * Files that have no name any more take their place on the disk until nobody has them open: no measuring of folders
 * finds them.
 */

/** Descriptors looked at: far more than programs have, far fewer than would hold us up. */
const MOST = 200_000;
const DELETED = / \(deleted\)$/;

/**
 * What these processes have open of nameless files on the file system of `folder`. A process whose descriptors cannot
 * be read, because it ended or hides them, holds nothing here.
 * @throws Error when they have too many files open
 */
export async function heldFiles(pids: readonly number[], folder: string): Promise<TreeSize> {
  const device = statSync(folder).dev;
  const seen = new Map<number, number>();
  let looked = 0;
  for (const pid of pids) {
    const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
    looked += names.length;
    if (looked > MOST) throw new Error(`its processes have more than ${MOST} files open`);
    for (const name of names) {
      const path = `/proc/${pid}/fd/${name}`;
      try {
        // The name first: to ask a file itself may take for ever where its file system does not answer.
        if (!DELETED.test(readlinkSync(path))) continue;
        const { dev, ino, blocks, nlink } = statSync(path);
        if (dev === device && nlink === 0) seen.set(ino, blocks * 512);
      } catch {
        // Closed meanwhile.
      }
    }
  }
  return { bytes: [...seen.values()].reduce((sum, bytes) => sum + bytes, 0), files: seen.size };
}
