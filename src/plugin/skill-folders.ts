import { readdir, readFile, stat } from "node:fs/promises";
import { join, posix, relative, sep } from "node:path";
import type { CatalogSkill } from "../jobs/ports.ts";
import type { Sandbox } from "../sandboxes/port.ts";
import { createFewAtATime } from "../shared/few-at-a-time.ts";

/** A skill is text and a few scripts; a folder above this is something else. */
const LIMIT_BYTES = 50 * 1024 * 1024;

/** Over a network one after another takes as many round trips as there are files. */
const WRITES_AT_ONCE = 4;

/** Where a skill's folder is in a sandbox. */
export const skillFolder = (sandbox: Pick<Sandbox, "home">, name: string): string =>
  posix.join(sandbox.home, "skills", name.replace(/[^A-Za-z0-9._-]/g, "_"));

/**
 * Copies a skill's folder into a sandbox. Symbolic links are left out: what they point at is not the skill's.
 * @throws Error when it cannot be read or is too large
 */
export async function copySkill(skill: CatalogSkill, sandbox: Sandbox): Promise<void> {
  const target = skillFolder(sandbox, skill.name);
  const entries = await readdir(skill.folder, { recursive: true, withFileTypes: true });
  const files = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async ({ parentPath, name }) => {
        const source = join(parentPath, name);
        const { mode, size } = await stat(source);
        return { source, size, executable: (mode & 0o100) !== 0 };
      }),
  );
  if (files.reduce((sum, { size }) => sum + size, 0) > LIMIT_BYTES)
    throw new Error(`the folder of skill ${skill.name} is larger than 50 MiB`);
  const copying = createFewAtATime(WRITES_AT_ONCE);
  const copies = files.map(({ source, executable }) =>
    copying(async () => {
      const path = posix.join(target, relative(skill.folder, source).split(sep).join("/"));
      await sandbox.writeFile(path, await readFile(source), { executable });
    }),
  );
  await Promise.all(copies);
}
