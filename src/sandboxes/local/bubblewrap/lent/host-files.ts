import { type Dirent, lstatSync, readdirSync, realpathSync, type Stats, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/*
 * Questions about paths of the host. A path that cannot be read counts as missing, whatever the reason: what we cannot
 * read cannot be lent either.
 */

export const isFolder = (path: string): boolean => orNull(() => statSync(path))?.isDirectory() ?? false;
export const isFile = (path: string): boolean => orNull(() => statSync(path))?.isFile() ?? false;
export const isLink = (path: string): boolean => orNull(() => lstatSync(path))?.isSymbolicLink() ?? false;
export const real = (path: string): string | null => orNull(() => realpathSync(path));
/** The path with links resolved, as far as it exists. */
export const realAsFarAsItIs = (path: string): string =>
  real(path) ?? (dirname(path) === path ? path : join(realAsFarAsItIs(dirname(path)), basename(path)));
export const statOf = (path: string): Stats | null => orNull(() => statSync(path)) ?? null;
/** Sorted by name, so that the order is the same every time; null where they cannot be read. */
export const entriesOrNull = (folder: string): readonly Dirent[] | null =>
  orNull(() => readdirSync(folder, { withFileTypes: true }))?.sort((a, b) => (a.name < b.name ? -1 : 1)) ?? null;
export const entries = (folder: string): readonly Dirent[] => entriesOrNull(folder) ?? [];
export const names = (folder: string): readonly string[] => entries(folder).map(({ name }) => name);
export const has = (folder: string, ...paths: readonly string[]): boolean =>
  paths.every((path) => statOf(join(folder, path)) !== null);

/** Whether every user may replace it or, in a sticky folder, put another program beside it. */
export const isOpenToAll = (path: string): boolean => ((statOf(path)?.mode ?? 0) & 0o002) !== 0;

/** Whether it is an executable file that not every user may write to. */
export const isProgram = (path: string): boolean => {
  const { mode = 0 } = statOf(path) ?? {};
  return isFile(path) && (mode & 0o111) !== 0 && (mode & 0o002) === 0;
};

function orNull<T>(at: () => T): T | null {
  try {
    return at();
  } catch {
    return null;
  }
}
