import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { nullIfMissing } from "../../shared/missing-file.ts";
import { nameList } from "../../shared/plain-text.ts";
import { absoluteIn, joinRecords, splitRecords, toText } from "../paths.ts";
import { type Filters, readFilters } from "./filters.ts";
import type { Listing } from "./list-project.ts";
import type { ProjectStore } from "./project-store.ts";
import { parseStage, type TreeEntry } from "./tree-entries.ts";

/** Files in the version of the index, with the bytes that a checkout would give them. */
export interface CommittedVersions {
  readonly entries: ReadonlyMap<string, TreeEntry>;
  readonly notes: readonly string[];
}

/**
 * Takes the committed versions of files that the user has told git not to look at (skip-worktree, assume-unchanged): what
 * he changed in them, often a password, he keeps from every commit. Their own content is compared and nothing else.
 */
export async function committedVersions(
  store: ProjectStore,
  { hidden, nested }: Pick<Listing, "hidden" | "nested">,
  scratchID: string,
): Promise<CommittedVersions> {
  if (hidden.length === 0) return { entries: new Map(), notes: [] };
  const filters = await readFilters(store);
  const folder = join(store.folder, `hidden.${scratchID}`);
  const index = join(store.folder, `hidden-index.${scratchID}`);
  try {
    await mkdir(folder, { mode: 0o700 });
    const roots = ["", ...nested].sort((a, b) => b.length - a.length);
    const rootOf = new Map(hidden.map((path) => [path, roots.find((root) => path.startsWith(root))]));
    for (const root of new Set(rootOf.values())) {
      const paths = hidden.filter((path) => rootOf.get(path) === root);
      await checkOut(store, filters, root ?? "", paths, folder);
    }
    const files = ["-c", "core.bare=false", `--work-tree=${folder}`];
    const inFolder = { cwd: folder, env: { GIT_INDEX_FILE: index } };
    // Whatever git did not check out is left out of sandboxes altogether.
    const add = [...files, "update-index", "-z", "--add", "--remove", "--stdin"];
    await store.run(add, { ...inFolder, input: joinRecords(hidden) });
    const entries = parseStage(await store.run([...files, "ls-files", "-z", "--stage"], inFolder));
    const differing = await filesThatDiffer(store.root, folder, hidden);
    return { entries, notes: differing.length === 0 ? [] : [hiddenNote(differing)] };
  } finally {
    for (const path of [folder, index]) await rm(path, { recursive: true, force: true });
  }
}

/**
 * Which of these files the user has changed without git's knowledge: git neither merges nor applies anything over them.
 * @param commit holds the bytes that a checkout would give them
 */
export async function hiddenAmong(store: ProjectStore, commit: string, paths: readonly string[]): Promise<string[]> {
  if (!store.isRepository || paths.length === 0) return [];
  const records = splitRecords(await store.user(["ls-files", "-z", "-v"]));
  const hidden = new Set(records.filter((record) => /^[a-zS] /.test(record)).map((record) => record.slice(2)));
  const absolute = absoluteIn(store.root);
  const differing: string[] = [];
  for (const path of paths.filter((one) => hidden.has(one))) {
    const mine = await nullIfMissing(readFile(absolute(path))).catch(() => null);
    const theirs = await store.run(["cat-file", "blob", `${commit}:${toText(path)}`]).catch(() => null);
    if (mine !== null && theirs !== null && !mine.equals(theirs)) differing.push(path);
  }
  return differing;
}

async function checkOut(store: ProjectStore, filters: Filters, root: string, paths: readonly string[], folder: string) {
  const prefix = `--prefix=${join(folder, toText(root), "/")}`;
  await store.user(["checkout-index", "-z", "--stdin", "--quiet", "--ignore-skip-worktree-bits", prefix], {
    cwd: join(store.root, toText(root)),
    input: joinRecords(paths.map((path) => path.slice(root.length))),
    settings: filters.off,
  });
}

async function filesThatDiffer(root: string, folder: string, paths: readonly string[]): Promise<string[]> {
  const [own, committed] = [absoluteIn(root), absoluteIn(folder)];
  const read = (path: Buffer) => nullIfMissing(readFile(path)).catch(() => null);
  const differing: string[] = [];
  for (const path of paths) {
    const [mine, theirs] = [await read(own(path)), await read(committed(path))];
    if (mine === null || theirs === null || !mine.equals(theirs)) differing.push(path);
  }
  return differing;
}

const hiddenNote = (paths: readonly string[]): string =>
  `jobs have the committed versions of files whose changes the user hides from git (skip-worktree, assume-unchanged): ${nameList(paths.map(toText))}`;
