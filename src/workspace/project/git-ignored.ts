import { GitError } from "../git.ts";
import { joinRecords, splitRecords } from "../paths.ts";

type AskGit = (args: readonly string[], input: Uint8Array) => Promise<Buffer>;

/** The exit code of `git check-ignore` when none of the names is ignored. */
const NONE = 1;

/**
 * Which of these names git ignores, by their place below where it runs. A folder's ends with a slash.
 * @throws GitError when git cannot say: that must not pass for "none", or what is ignored would go along
 */
export async function ignoredNames(git: AskGit, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return [];
  const input = joinRecords(names.map((name) => `./${name}`)); // a colon at the beginning would be magic
  const said = await git(["check-ignore", "-z", "--stdin"], input).catch((error: unknown) => {
    if (error instanceof GitError && error.code === NONE) return Buffer.alloc(0);
    throw error;
  });
  return splitRecords(said).map((name) => name.slice(2));
}

/**
 * Those of these folders that git does not ignore. Each is asked for in the repository that it is in: another one says
 * nothing of it. Where git cannot read one its folders go along: they are empty, and no reason for a job to fail.
 * @param nested roots of repositories in the project, each with a slash at the end
 */
export async function withoutIgnored(
  git: (below: string, ...how: Parameters<AskGit>) => Promise<Buffer>,
  folders: readonly string[],
  nested: readonly string[],
): Promise<string[]> {
  const tops = ["", ...nested].sort((a, b) => b.length - a.length);
  const byTop = new Map<string, string[]>();
  for (const folder of folders) {
    const top = tops.find((one) => folder.startsWith(one)) ?? "";
    const inside = byTop.get(top) ?? [];
    inside.push(folder.slice(top.length));
    byTop.set(top, inside);
  }
  const ignored = new Set<string>();
  for (const [top, inside] of byTop) {
    const names = inside.map((folder) => `${folder}/`);
    const found = await ignoredNames((...how) => git(top, ...how), names).catch(() => []);
    for (const name of found) ignored.add(top + name.slice(0, -1));
  }
  return folders.filter((folder) => !ignored.has(folder)).sort();
}
