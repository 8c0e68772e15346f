import { readdir, readFile, stat } from "node:fs/promises";
import { join, posix, relative, sep } from "node:path";
import type { CatalogSkill } from "../jobs/ports.ts";
import type { Sandbox } from "../sandboxes/port.ts";

/** A skill is text and a few scripts; a folder above this is something else. */
const LIMIT_BYTES = 50 * 1024 * 1024;

/** Where a skill's folder is in a sandbox. */
export const skillFolder = (sandbox: Pick<Sandbox, "home">, name: string): string =>
  posix.join(sandbox.home, "skills", name.replace(/[^A-Za-z0-9._-]/g, "_"));

/**
 * Copies a skill's folder into a sandbox. Symbolic links are left out: what they point at is not the skill's.
 * @throws Error when it cannot be read or is too large
 */
export async function copySkill(skill: CatalogSkill, sandbox: Sandbox): Promise<void> {
  const target = skillFolder(sandbox, skill.name);
  let total = 0;
  const entries = await readdir(skill.folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const source = join(entry.parentPath, entry.name);
    const { mode, size } = await stat(source);
    total += size;
    if (total > LIMIT_BYTES) throw new Error(`the folder of skill ${skill.name} is larger than 50 MiB`);
    const path = posix.join(target, relative(skill.folder, source).split(sep).join("/"));
    await sandbox.writeFile(path, await readFile(source), { executable: (mode & 0o100) !== 0 });
  }
}
