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

/** The versions of a path in conflict that are not the one of the user's commit: their common one, and the other side's. */
const OTHER_STAGES: ReadonlySet<string | undefined> = new Set(["1", "3"]);

/** Parses the output of `git ls-files -z --stage` into entries by path. A path in conflict has the version of the user's commit, if any. */
export function parseStage(output: Buffer): Map<string, TreeEntry> {
  return new Map(
    splitRecords(output).flatMap((record): [string, TreeEntry][] => {
      const tab = record.indexOf("\t");
      const [mode = "", oid = "", stage] = record.slice(0, tab).split(" ");
      return OTHER_STAGES.has(stage) ? [] : [[record.slice(tab + 1), { mode, oid }]];
    }),
  );
}

/** Parses the output of `git ls-tree -r -z`. */
export const parseTree = (output: Buffer): Map<string, TreeEntry> =>
  // "mode type oid\tpath" becomes "mode oid \tpath", which is close enough to an index's "mode oid stage\tpath"
  parseStage(Buffer.from(output.toString("latin1").replace(/(^|\0)(\d+) \w+ /g, "$1$2 "), "latin1"));

/** A file that two trees have in different versions. */
export interface Difference {
  readonly path: string;
  /** null = removed. */
  readonly entry: TreeEntry | null;
  /** Its mode in the base. */
  readonly hadMode: string;
}

/** Parses the output of `git diff-tree -r -z --raw --no-renames --no-abbrev`. */
export function parseDifferences(output: Buffer): Difference[] {
  const records = splitRecords(output);
  const differences: Difference[] = [];
  for (let at = 0; at + 1 < records.length; at += 2) {
    const [had = "", mode = "", , oid = "", status] = (records[at] as string).split(" ");
    const entry = status === "D" ? null : { mode, oid };
    differences.push({ path: records[at + 1] as string, entry, hadMode: had.slice(1) });
  }
  return differences;
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
