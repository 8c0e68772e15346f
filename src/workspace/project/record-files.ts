import { GitError } from "../git-error.ts";
import { joinRecords } from "../paths.ts";

/** Runs git on the index and working tree that the files are recorded from. */
export type RunGit = (args: readonly string[], input: Uint8Array) => Promise<unknown>;

/** Settings under which the user's git records files as it would, without asking or complaining, and writes to no other file. */
export const RECORDING = [
  ["core.safecrlf", "false"],
  ["core.splitIndex", "false"],
  ["index.sparse", "false"],
] as const;

/**
 * Records files in an index as `git add` would, with all conversions of git's own.
 * @returns the files that git cannot convert, such as one that is not in the encoding that its attributes name; not those
 *   that are gone, which stay as the index has them
 * @throws GitError when git fails at something else
 */
export async function recordFiles(run: RunGit, paths: readonly string[]): Promise<string[]> {
  if (paths.length === 0) return [];
  try {
    await run(["update-index", "-z", "--add", "--replace", "--stdin"], joinRecords(paths));
    return [];
  } catch (error) {
    // git stops at the first file that it cannot convert.
    if (!(error instanceof GitError) || error.code === null) throw error;
    if (paths.length === 1) return GONE.test(error.message) ? [] : [...paths]; // to look for it is too late: it may be back
    const middle = Math.ceil(paths.length / 2);
    return [...(await recordFiles(run, paths.slice(0, middle))), ...(await recordFiles(run, paths.slice(middle)))];
  }
}

/** What git says of a file that is not there, or was removed while git looked at it. */
const GONE = /does not exist and --remove not passed|No such file or directory/;

/** Removes files from an index. */
export async function unrecordFiles(run: RunGit, paths: readonly string[]): Promise<void> {
  if (paths.length > 0) await run(["update-index", "-z", "--force-remove", "--stdin"], joinRecords(paths));
}
