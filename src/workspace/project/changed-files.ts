import { copyFile, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { nullIfNotFound } from "../git.ts";
import { joinRecords, splitRecords, toText } from "../paths.ts";
import type { ProjectStore } from "./project-store.ts";

const LATER_THAN_ANY_FILE = new Date("2100-01-01T00:00:00Z");

/**
 * The tracked files of the user's repository that differ from his index. git compares sizes and times, and also the
 * content of a file that is as new as the index. Comparing content would run the user's filters, so they are switched off;
 * a filtered file then always seems changed, so for such files sizes and times alone decide, as if the index were newer.
 * @param scratchID names the scratch file of this call
 */
export async function changedFiles(store: ProjectStore, scratchID: string): Promise<Set<string>> {
  const drivers = await filterDrivers(store);
  const settings = withoutFilters(drivers);
  const differing = async (env: Readonly<Record<string, string>> = {}) =>
    splitRecords(await store.user(["diff-files", "-z", "--name-only", "--ignore-submodules=all"], { env, settings }));
  const changed = new Set(await differing());
  const uncertain = drivers.size > 0 && changed.size > 0 ? await filteredFiles(store, changed, drivers) : [];
  if (uncertain.length === 0) return changed;
  const copy = join(store.folder, `user-index.${scratchID}`);
  try {
    await copyFile(await indexOf(store), copy);
    await utimes(copy, LATER_THAN_ANY_FILE, LATER_THAN_ANY_FILE);
    const byTime = new Set(await differing({ GIT_INDEX_FILE: copy }));
    for (const path of uncertain) if (!byTime.has(path)) changed.delete(path);
  } finally {
    await rm(copy, { force: true });
  }
  return changed;
}

async function filterDrivers(store: ProjectStore): Promise<Set<string>> {
  const names = await nullIfNotFound(store.user(["config", "-z", "--name-only", "--get-regexp", "^filter\\."]));
  const drivers = splitRecords(names ?? Buffer.alloc(0)).map((name) =>
    name.slice("filter.".length, name.lastIndexOf(".")),
  );
  return new Set(drivers.filter((driver) => driver !== ""));
}

/** Git settings under which no filter runs and filtered files are read as they are: a driver without programs is skipped unless required. */
function withoutFilters(drivers: ReadonlySet<string>): (readonly [string, string])[] {
  return [...drivers].flatMap((driver) => [
    [`filter.${toText(driver)}.clean`, ""] as const,
    [`filter.${toText(driver)}.process`, ""] as const,
    [`filter.${toText(driver)}.required`, "false"] as const,
  ]);
}

/** Those of `paths` that one of the drivers filters. */
async function filteredFiles(store: ProjectStore, paths: ReadonlySet<string>, drivers: ReadonlySet<string>) {
  const fields = splitRecords(
    await store.user(["check-attr", "-z", "--stdin", "filter"], { input: joinRecords([...paths]) }),
  );
  const found: string[] = [];
  for (let at = 0; at + 2 < fields.length; at += 3) {
    if (drivers.has(fields[at + 2] ?? "")) found.push(fields[at] ?? "");
  }
  return found;
}

async function indexOf(store: ProjectStore): Promise<string> {
  const path = await store.user(["rev-parse", "--path-format=absolute", "--git-path", "index"]);
  return path.toString("utf8").replace(/\n$/, "");
}
