import { lstat, readFile, realpath } from "node:fs/promises";
import { toBytes } from "../paths.ts";
import type { TreeReader } from "./tree-reader.ts";

/*
 * A repository may have several working trees (git-worktree), and people keep them inside the project or side by side in
 * one folder. They are copies of one project, so one of them is taken.
 */

/**
 * The roots among `roots` that are further working trees of a repository of which another working tree is taken: the one
 * around them, or else that of the repository's main branch, or the first.
 * @param below path of the repository that contains them, "" or with a trailing slash
 * @param roots paths with a trailing slash
 */
export async function otherWorktrees(
  reader: TreeReader,
  below: string,
  roots: readonly string[],
): Promise<ReadonlySet<string>> {
  const groups = new Map<string, string[]>();
  for (const root of roots) {
    const common = await repositoryOf(reader, root);
    if (common !== null) groups.set(common, [...(groups.get(common) ?? []), root]);
  }
  const others = new Set<string>();
  if (groups.size === 0) return others;
  const own = below === "" && reader.isPlainFolder ? null : await commonFolder(reader, below);
  for (const [common, members] of groups) {
    const taken = common === own ? null : await choose(reader, common, members);
    for (const one of members) if (one !== taken) others.add(one);
  }
  return others;
}

/** The folder of the repository that a nested root is a working tree of; null where it cannot have others. */
async function repositoryOf(reader: TreeReader, root: string): Promise<string | null> {
  const place = reader.absolute(`${root}.git`);
  try {
    const stat = await lstat(place);
    if (stat.isDirectory()) return await realpath(place);
    // Only this is looked into, as asking git about each of hundreds of submodules would take long.
    return /\/worktrees\/[^/]+\/?\s*$/.test(await readFile(place, "latin1")) ? await commonFolder(reader, root) : null;
  } catch {
    return null; // listing the repository then says why
  }
}

async function commonFolder(reader: TreeReader, below: string): Promise<string | null> {
  const asked = reader.git(below, ["rev-parse", "--path-format=absolute", "--git-common-dir"]);
  const path = (await asked.catch(() => null))?.toString("latin1").replace(/\n$/, "");
  return path ? realpath(toBytes(path)).catch(() => null) : null;
}

async function choose(reader: TreeReader, common: string, members: readonly string[]): Promise<string | null> {
  if (members.length < 2) return members[0] ?? null;
  const branch = (below: string, ...more: string[]) =>
    reader.git(below, [...more, "symbolic-ref", "--quiet", "HEAD"]).then(String, () => "");
  const main = await branch(members[0] ?? "", `--git-dir=${common}`);
  for (const one of members) if (main !== "" && (await branch(one)) === main) return one;
  return members[0] ?? null;
}
