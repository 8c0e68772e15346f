import { createHash } from "node:crypto";
import { chmodSync } from "node:fs";
import { dirname, join } from "node:path";
import { ensurePrivateFolder, isRealFolder, writePrivateFile } from "../../../shared/private-files.ts";
import type { EtcFile } from "./root-filesystem.ts";

/**
 * Makes the files that sandboxes have in /etc, once for all sandboxes in which they are the same: making them for each would
 * take longer than its own folders. Inside they are mounted read-only.
 * @returns the function, which returns the folder that they are in by their names
 */
export function createSharedFiles(rootDir: string): (files: readonly EtcFile[]) => string {
  const made = new WeakMap<readonly EtcFile[], string>();
  return (files) => {
    const former = made.get(files);
    if (former !== undefined && isRealFolder(former)) return former;
    const digest = createHash("sha256");
    for (const { name, content } of files) digest.update(`${name}\0${content.length}\0`).update(content);
    const folder = join(rootDir, `files-${digest.digest("hex").slice(0, 32)}`);
    const etc = join(folder, "etc");
    ensurePrivateFolder(folder);
    for (const { name, content } of files) {
      const path = join(etc, name);
      ensurePrivateFolder(dirname(path));
      writePrivateFile(path, content);
      chmodSync(path, 0o644); // as programs expect it of /etc
    }
    made.set(files, etc);
    return etc;
  };
}
