import type { Stats } from "node:fs";
import { lstat } from "node:fs/promises";

/** `lstat`, or null where nothing lies at the path. Any other failure, such as `EACCES`, is thrown. */
export const lstatOrNull = (path: string | Buffer): Promise<Stats | null> => nullIfMissing(lstat(path));

/** The result of a file system call, or null where nothing lies at its path. Other failures are thrown: unreadable is not missing. */
export const nullIfMissing = <T>(call: Promise<T>): Promise<T | null> =>
  call.catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw error;
  });

/** Whether a file system call failed because nothing lies at its path, or because a parent of the path is a file. */
export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return code === "ENOENT" || code === "ENOTDIR";
}
