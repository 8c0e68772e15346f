import { createHash } from "node:crypto";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { ensurePrivateFolder, isRealFolder, writePrivateFile } from "../../../shared/private-files.ts";
import type { SynthesizedFile } from "./root-filesystem.ts";

/**
 * Makes the files of ours that sandboxes have in /etc, once for all sandboxes in which they are the same: making them for
 * each would take longer than its own folders. Inside they are mounted read-only.
 * @returns the function, which returns the folder that they are in by their paths
 */
export function createSharedFiles(rootDir: string): (files: readonly SynthesizedFile[]) => string {
  const made = new Set<string>();
  return (files) => {
    const content = JSON.stringify(files);
    const folder = join(rootDir, `files-${createHash("sha256").update(content).digest("hex").slice(0, 32)}`);
    if (made.has(folder) && isRealFolder(join(folder, "etc"))) return folder;
    for (const path of [folder, join(folder, "etc")]) ensurePrivateFolder(path);
    for (const file of files) {
      const path = join(folder, file.path);
      writePrivateFile(path, file.content);
      chmodSync(path, 0o644); // as programs expect it of /etc
    }
    made.add(folder);
    return folder;
  };
}
