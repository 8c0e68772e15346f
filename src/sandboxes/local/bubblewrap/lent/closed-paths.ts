import { accessSync, constants, lstatSync, type Stats } from "node:fs";
import { join } from "node:path";
import { entries } from "./host-files.ts";

/**
 * Paths below a folder of the system that this user may read and not everybody may: passwords and keys that services keep
 * beside their settings. Root may read them all, and so may a job of root's, which owns root's files.
 */
export function closedIn(folder: string): string[] {
  const found: string[] = [];
  for (const { name } of entries(folder)) {
    const path = join(folder, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined || stat.isSymbolicLink()) continue;
    if (!isOpen(stat)) {
      if (isOpenToUs(path, stat)) found.push(path);
    } else if (stat.isDirectory()) found.push(...closedIn(path));
  }
  return found;
}

/** Whether everybody may read a file, or enter a folder. */
export const isOpen = (stat: Stats): boolean => (stat.mode & (stat.isDirectory() ? 0o001 : 0o004)) !== 0;

function isOpenToUs(path: string, stat: Stats): boolean {
  try {
    accessSync(path, stat.isDirectory() ? constants.X_OK : constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
