import { type Dirent, lstatSync, readdirSync, realpathSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";

/* Looking at paths that may not exist, or not be ours to look at: then there is nothing. */

export const isFolder = (path: string): boolean => look(() => statSync(path))?.isDirectory() ?? false;
export const isFile = (path: string): boolean => look(() => statSync(path))?.isFile() ?? false;
export const isLink = (path: string): boolean => look(() => lstatSync(path))?.isSymbolicLink() ?? false;
export const real = (path: string): string | null => look(() => realpathSync(path));
export const statOf = (path: string): Stats | null => look(() => statSync(path)) ?? null;
/** In a lasting order. */
export const entries = (folder: string): readonly Dirent[] =>
  (look(() => readdirSync(folder, { withFileTypes: true })) ?? []).sort((a, b) => (a.name < b.name ? -1 : 1));
export const names = (folder: string): readonly string[] => entries(folder).map(({ name }) => name);
export const has = (folder: string, ...paths: readonly string[]): boolean =>
  paths.every((path) => statOf(join(folder, path)) !== null);

/** Anybody may put another program in its place; in a sticky folder only beside it, which is bad enough. */
export const isOpenToAll = (path: string): boolean => ((statOf(path)?.mode ?? 0) & 0o002) !== 0;

/** A program that its owner, group or others may execute. */
export const isProgram = (path: string): boolean => {
  const { mode = 0 } = statOf(path) ?? {};
  return isFile(path) && (mode & 0o111) !== 0 && (mode & 0o002) === 0;
};

function look<T>(at: () => T): T | null {
  try {
    return at();
  } catch {
    return null;
  }
}
