import { rm, utimes } from "node:fs/promises";
import { isSafePath, splitRecords } from "../paths.ts";
import type { Filters } from "./filters.ts";
import type { ProjectStore } from "./project-store.ts";

const LATER_THAN_ANY_FILE = new Date("2100-01-01T00:00:00Z");

export interface ChangedFiles {
  /** The tracked files that differ from the index. */
  readonly changed: ReadonlySet<string>;
  /** Those of them that a filter would convert. */
  readonly filtered: ReadonlySet<string>;
}

/**
 * The tracked files of the user's repository that differ from his index. git compares sizes and times, and also the
 * content of a file that is as new as the index. Comparing content would run the user's filters, so they are switched off;
 * a filtered file then always seems changed, so for such files sizes and times alone decide, as if the index were newer.
 * @param makeCopy copies the user's index and returns the copy's absolute path; it is deleted again
 */
export async function changedFiles(
  store: ProjectStore,
  filters: Filters,
  makeCopy: () => Promise<string>,
): Promise<ChangedFiles> {
  const differ = ["diff-files", "-z", "--name-only", "--ignore-submodules=all"];
  const differing = async (env: Readonly<Record<string, string>> = {}) =>
    splitRecords(await store.user(differ, { env, settings: filters.off }));
  // An index is a file like any other, and may name files outside the project.
  const changed = new Set((await differing()).filter(isSafePath));
  const filtered = await filters.filtered((args, input) => store.user(args, { input }), [...changed]);
  if (filtered.size === 0) return { changed, filtered: new Set() };
  const copy = await makeCopy();
  try {
    await utimes(copy, LATER_THAN_ANY_FILE, LATER_THAN_ANY_FILE);
    const byTime = new Set(await differing({ GIT_INDEX_FILE: copy }));
    for (const path of filtered.keys()) if (!byTime.has(path)) changed.delete(path);
  } finally {
    await rm(copy, { force: true });
  }
  return { changed, filtered: new Set([...filtered.keys()].filter((path) => changed.has(path))) };
}
