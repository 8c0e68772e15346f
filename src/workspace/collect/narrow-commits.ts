import { foldersAbove } from "../paths.ts";
import type { ProjectStore } from "../project/project-store.ts";
import { parseTree, writeTree } from "../project/tree-entries.ts";
import type { BuiltCommits } from "./build-commits.ts";
import type { FileRequest } from "./select-files.ts";

export interface NarrowedCommits {
  /** Its tree is the base with the changes at these paths alone. The commits stay whole. */
  readonly built: BuiltCommits;
  /** Patterns that match no changed file. */
  readonly unmatched: readonly string[];
}

/**
 * Leaves of a job's changes those at some paths, so that all that is said of them is about these.
 * @param scratchID names the scratch file of this call
 * @throws GitError
 */
export async function narrowCommits(
  store: ProjectStore,
  built: BuiltCommits,
  { patterns }: Pick<FileRequest, "patterns">,
  scratchID: string,
): Promise<NarrowedCommits> {
  const { env } = built;
  const isWanted = (path: string) => patterns.some(({ matches }) => matches(path));
  const changed = built.changed.filter(isWanted);
  const list = async (tree: string) =>
    parseTree(await store.run(["ls-tree", "-r", "-z", "--full-tree", tree], { env, isUntrusted: true }));
  const [entries, made] = [await list(built.baseTree), await list(built.tree)];
  for (const path of changed) {
    const entry = made.get(path);
    if (!entry) {
      entries.delete(path);
      continue;
    }
    // A file cannot stay where its name is a folder's now.
    for (const folder of foldersAbove(path)) entries.delete(folder.slice(0, -1));
    entries.set(path, entry);
  }
  const tree = await writeTree(store, entries, `narrow.${scratchID}`, env);
  return {
    built: { ...built, tree, changed, attention: built.attention.filter(({ path }) => isWanted(path)) },
    unmatched: patterns.flatMap(({ name, matches }) => (changed.some(matches) ? [] : [name])),
  };
}
