import type { Stats } from "node:fs";
import { lstat } from "node:fs/promises";

/** Facts about what lies at `path`, links not followed; null where nothing does. Any other failure, such as `EACCES`, is thrown. */
export const lstatOrNull = (path: string | Buffer): Promise<Stats | null> => nullIfMissing(lstat(path));

/** The answer of a call on a path, or null where nothing lies there. Any other failure is thrown: unreadable is not absent. */
export const nullIfMissing = <T>(call: Promise<T>): Promise<T | null> =>
  call.catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw error;
  });

/** Whether a file system call failed because nothing lies at the path, also because a parent folder is a file. */
export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return code === "ENOENT" || code === "ENOTDIR";
}
