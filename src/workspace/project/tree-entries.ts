import { rm } from "node:fs/promises";
import { join } from "node:path";
import { splitRecords, toBytes } from "../paths.ts";
import type { ProjectStore } from "./project-store.ts";

/** One file or link of a git tree or index. */
export interface TreeEntry {
  /** As git writes it: "100644", "100755" (executable), "120000" (link). */
  readonly mode: string;
  readonly oid: string;
}

/** Parses the output of `git ls-files -z --stage` into entries by path. */
export function parseStage(output: Buffer): Map<string, TreeEntry> {
  return new Map(
    splitRecords(output).map((record) => {
      const tab = record.indexOf("\t");
      const [mode = "", oid = ""] = record.slice(0, tab).split(" ");
      return [record.slice(tab + 1), { mode, oid }];
    }),
  );
}

/**
 * Writes a tree of exactly these entries, whose objects need not exist.
 * @param scratch name of an index file in the store's folder, which is removed again
 * @returns the tree's object name
 */
export async function writeTree(
  store: ProjectStore,
  entries: ReadonlyMap<string, TreeEntry>,
  scratch: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const lines = [...entries].map(([path, { mode, oid }]) => `${mode} ${oid}\t${path}\0`);
  try {
    await store.onFiles(scratch, ["update-index", "-z", "--index-info"], { input: toBytes(lines.join("")), env });
    return (await store.onFiles(scratch, ["write-tree", "--missing-ok"], { env })).toString().trim();
  } finally {
    await rm(join(store.folder, scratch), { force: true });
  }
}
