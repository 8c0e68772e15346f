import { fromText } from "../paths.ts";
import type { TreeBase } from "../project/capture-tree.ts";
import type { ProjectStore } from "../project/project-store.ts";
import { readBlobs } from "../project/read-blobs.ts";
import { parseTree, type TreeEntry } from "../project/tree-entries.ts";
import { createProtection, type Protection } from "./protection.ts";

const LINK = "120000";
const LINK_BYTES = 4096;

/** Targets of the links among these files, by path. One that cannot be read leads nowhere. */
export async function targetsOf(
  store: ProjectStore,
  entries: Iterable<readonly [path: string, entry: TreeEntry]>,
  env: Readonly<Record<string, string>> = {},
): Promise<ReadonlyMap<string, string>> {
  const found = [...entries].filter(([, { mode }]) => mode === LINK);
  const oids = found.map(([, { oid }]) => oid);
  const contents = await readBlobs(store, oids, LINK_BYTES, env);
  return new Map(found.map(([path, { oid }]) => [path, contents.get(oid)?.toString("latin1") ?? "/"]));
}

/** A project's files as a sandbox gets them, and which of them are protected. */
export interface ProtectedFiles {
  readonly entries: ReadonlyMap<string, TreeEntry>;
  readonly links: ReadonlyMap<string, string>;
  readonly protection: Protection;
}

/** @param workdir where they lie in the sandbox */
export async function protectedIn(
  store: ProjectStore,
  { commit }: Pick<TreeBase, "commit">,
  protect: readonly string[],
  workdir: string,
): Promise<ProtectedFiles> {
  const entries = parseTree(await store.run(["ls-tree", "-r", "-z", "--full-tree", commit]));
  const links = await targetsOf(store, entries);
  const protection = createProtection(protect, { paths: [...entries.keys()], links, workdir: fromText(workdir) });
  return { entries, links, protection };
}
