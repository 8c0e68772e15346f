import { createHash } from "node:crypto";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { ensurePrivateFolder, writePrivateFile } from "../../../shared/private-files.ts";
import { isProgram } from "./lent/host-files.ts";

/**
 * Puts programs of our own where the host can run them, below the folder of all sandboxes, which no job sees.
 * @returns the function, which returns a program's path
 */
export function createProgramFiles(rootDir: string): (program: Uint8Array) => string {
  const folder = join(rootDir, "programs");
  const names = new WeakMap<Uint8Array, string>();
  return (program) => {
    const name = names.get(program) ?? createHash("sha256").update(program).digest("hex").slice(0, 32);
    names.set(program, name);
    const path = join(folder, name);
    if (isProgram(path)) return path;
    ensurePrivateFolder(folder);
    writePrivateFile(path, program);
    chmodSync(path, 0o500);
    return path;
  };
}
