import { nullIfNotFound } from "../git.ts";
import { foldersAbove, joinRecords, splitRecords } from "../paths.ts";

type AskGit = (args: readonly string[], input: Uint8Array) => Promise<Buffer>;

/**
 * Those of the names that git ignores.
 * @param names paths relative to the folder that git runs in; the name of a folder ends with a slash
 * @throws GitError when git fails: taking that for "none" would copy ignored files
 */
export async function ignoredNames(git: AskGit, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return [];
  const input = joinRecords(names.map((name) => `./${name}`)); // without "./" a leading colon would have a special meaning
  const output = await nullIfNotFound(git(["check-ignore", "-z", "--stdin"], input));
  return splitRecords(output ?? Buffer.alloc(0)).map((name) => name.slice(2));
}

/**
 * Those of the names that git ignores by rules that are not among the files: `info/exclude` and `core.excludesFile`. A rule
 * in a `.gitignore` counts for more, and may make an exception.
 * @param names paths relative to the folder that git runs in; they need not exist
 * @returns each ignored one, with the outermost folder that is ignored as a whole, or itself
 * @throws GitError
 */
export async function ignoredByOwnRules(git: AskGit, names: readonly string[]): Promise<Map<string, string>> {
  if (names.length === 0) return new Map();
  const found = new Set<string>();
  const asked = new Set([...names, ...names.flatMap(foldersAbove)]);
  const input = joinRecords([...asked].map((name) => `./${name}`));
  const ask = git(["check-ignore", "--no-index", "--verbose", "-z", "--stdin"], input);
  const records = splitRecords((await nullIfNotFound(ask)) ?? Buffer.alloc(0));
  for (let at = 0; at + FIELDS <= records.length; at += FIELDS) {
    const [from = "", , pattern = "", name = ""] = records.slice(at, at + FIELDS);
    if (!/(^|\/)\.gitignore$/.test(from) && !pattern.startsWith("!")) found.add(name.slice(2));
  }
  const ignored = names.filter((name) => found.has(name));
  return new Map(ignored.map((name) => [name, foldersAbove(name).find((folder) => found.has(folder)) ?? name]));
}

/** Of a record of `check-ignore --verbose`: where the rule is, its line, the rule, the name. */
const FIELDS = 4;

/**
 * The empty folders that git does not ignore. Each is looked up in the repository that contains it. If git fails there,
 * the folders are kept: they are empty, so a job need not fail over them.
 * @param nested roots of repositories in the project, each with a trailing slash
 */
export async function withoutIgnored(
  git: (below: string, ...how: Parameters<AskGit>) => Promise<Buffer>,
  folders: readonly string[],
  nested: readonly string[],
): Promise<string[]> {
  const roots = ["", ...nested].sort((a, b) => b.length - a.length);
  const rootOf = new Map(folders.map((folder) => [folder, roots.find((root) => folder.startsWith(root))]));
  const ignored = new Set<string>();
  for (const root of roots) {
    const inside = folders.filter((folder) => rootOf.get(folder) === root);
    const names = inside.map((folder) => `${folder.slice(root.length)}/`);
    const found = await ignoredNames((...how) => git(root, ...how), names).catch(() => []);
    for (const name of found) ignored.add(root + name.slice(0, -1));
  }
  return folders.filter((folder) => !ignored.has(folder)).sort();
}
