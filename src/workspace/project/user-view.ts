import { copyFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { nullIfMissing } from "../../shared/missing-file.ts";
import { nameList } from "../../shared/plain-text.ts";
import { createInside } from "../git-folders.ts";
import { isSafePath, toText } from "../paths.ts";
import { changedFiles } from "./changed-files.ts";
import { readFilters } from "./filters.ts";
import type { Listing } from "./list-project.ts";
import type { ProjectStore } from "./project-store.ts";
import { RECORDING, recordFiles, unrecordFiles } from "./record-files.ts";
import { parseStage, type TreeEntry } from "./tree-entries.ts";

export interface UserView {
  readonly entries: ReadonlyMap<string, TreeEntry>;
  /** What the view has in another version than the working tree, in words. */
  readonly notes: readonly string[];
}

/**
 * The files as the user's repository would record them with `git add --all`: converted by git itself, without changes to
 * files that he hides from git. Filters do not run, so a changed file that needs one stays as his index has it, or as his
 * commit has it where it is in conflict, and a new one is left out.
 * @param exact the files as they are
 */
export async function userView(
  store: ProjectStore,
  { index, nested, withheld }: Listing,
  exact: ReadonlyMap<string, TreeEntry>,
  scratchID: string,
): Promise<UserView> {
  if (!store.isRepository) return { entries: exact, notes: [] };
  const isNested = (path: string) => nested.some((root) => path.startsWith(root));
  const isWithheld = createInside(withheld); // it would seem removed
  const filters = await readFilters(store);
  const copy = join(store.folder, `user-index.${scratchID}`);
  const { changed, filtered } = await changedFiles(store, filters, () => copyIndex(store, copy));
  const fresh = [...exact.keys()].filter((path) => !index.has(path) && !changed.has(path) && !isNested(path));
  const freshFiltered = await filters.filtered((args, input) => store.user(args, { input }), fresh);
  const wanted = [...changed].filter((path) => !filtered.has(path) && !isWithheld(path) && !isNested(path));
  const present = [...wanted.filter((path) => exact.has(path)), ...fresh.filter((path) => !freshFiltered.has(path))];
  const gone = wanted.filter((path) => !exact.has(path));
  try {
    await copyIndex(store, copy);
    const env = { GIT_INDEX_FILE: copy, GIT_OBJECT_DIRECTORY: join(store.folder, "git/objects") };
    const settings = [...filters.off, ...RECORDING];
    const run = (args: readonly string[], input?: Uint8Array) =>
      store.user(args, { env, settings, ...(input && { input }) });
    await unrecordFiles(run, gone);
    const refused = await recordFiles(run, present);
    const recorded = parseStage(await run(["ls-files", "-z", "--stage"]));
    const entries = new Map([...recorded].filter(([path]) => isSafePath(path)));
    const unrecorded = [...filtered, ...freshFiltered.keys()].filter((path) => !isWithheld(path)).sort();
    return { entries, notes: [...filterNote(unrecorded), ...refusedNote(refused)] };
  } finally {
    await rm(copy, { force: true });
  }
}

/** @returns the copy's path; a repository without an index has an empty one */
async function copyIndex({ userIndex }: ProjectStore, copy: string): Promise<string> {
  const copied = userIndex && (await nullIfMissing(copyFile(userIndex, copy).then(() => true)));
  if (!copied) await rm(copy, { force: true });
  return copy;
}

const filterNote = (paths: readonly string[]): string[] =>
  paths.length === 0
    ? []
    : [
        `the user's changes to files that a filter program of git converts are in sandboxes and not in collected branches, as no such program is run: ${nameList(paths.map(toText))}`,
      ];

const refusedNote = (paths: readonly string[]): string[] =>
  paths.length === 0
    ? []
    : [
        `the user's changes to files that git cannot convert as their attributes say are in sandboxes and not in collected branches: ${nameList(paths.map(toText))}`,
      ];
