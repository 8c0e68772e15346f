import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { lstatOrNull, nullIfMissing } from "../../shared/missing-file.ts";
import type { ProjectStore } from "./project-store.ts";

/*
 * What was fetched from jobs. Each fetch puts its objects in a place of its own, and whoever reads changes keeps the place
 * they came with: a job may be collected several times at once, and parked meanwhile, also by other processes. A later
 * fetch replaces the record at once; the places of earlier ones are deleted when nobody can be reading them any more.
 */

/** Work that a job left where its files are not, such as on another branch, as its sandbox reports it. */
export interface Elsewhere {
  /** One of those in `collect/describe-elsewhere.ts`. */
  readonly kind: string;
  /** Commits, entries or files; 0 where there is nothing to count. */
  readonly count: number;
  /** One character per byte. */
  readonly name: string;
}

/** What a job changed, as commits in an object folder of its own inside our store. */
export interface JobChanges {
  /** The commit of the base that the changes start from. */
  readonly base: string;
  /** The commit that contains all changes. */
  readonly tip: string;
  /** The job's commits after the base, oldest first; the last one is `tip`. */
  readonly commits: readonly string[];
  /** Files too large for a commit, as the job reports them. */
  readonly leftOut: readonly string[];
  /** Files, and folders with everything in them, that could not be read in the sandbox, as the job reports them. */
  readonly unread: readonly string[];
  /** Repositories that the job made among its files and whose files could not be taken, as the job reports them. */
  readonly unborn: readonly string[];
  /** Pipes, sockets and devices among the job's files. */
  readonly special: readonly string[];
  /** What git ignores there; a folder with everything in it has a trailing slash. */
  readonly ignored: readonly string[];
  readonly emptyFolders: readonly string[];
  /** Number of names in these lists that were too many to be listed. */
  readonly unlisted: number;
  /** Number of the job's commits, where they are fetched as one; else 0. */
  readonly squashed: number;
  /** Work that is not among the changes, as the job reports it. */
  readonly elsewhere: readonly Elsewhere[];
  /** The folder with its objects, in the job's folder. */
  readonly place: string;
}

/** Former versions did not record these, and kept the objects in the job's folder itself. */
const LATER_FIELDS: Partial<JobChanges> = {
  ...{ unread: [], unborn: [], special: [], ignored: [], emptyFolders: [], unlisted: 0, squashed: 0 },
  elsewhere: [],
  place: ".",
};

/** The name is that of former versions. */
const RECORD = "work.json";

/** For how long the place of earlier changes stays: longer than anything that reads it may take. */
const HELD_MS = 3_600_000;
/** Places kept at most, each as large as what the job changed. */
const KEPT = 8;

type Folder = Pick<ProjectStore, "folder">;

/** Absolute path of everything that is kept of a job. */
const changesFolder = ({ folder }: Folder, jobID: string): string => join(folder, "jobs", jobID.replace(/\W/g, "_"));

/** Environment in which git writes objects at `place` in the job's folder, and reads those of the project's store as well. */
export const placeEnv = (store: Folder, jobID: string, place: string): Readonly<Record<string, string>> => ({
  GIT_OBJECT_DIRECTORY: join(changesFolder(store, jobID), place, "objects"),
  GIT_ALTERNATE_OBJECT_DIRECTORIES: join(store.folder, "git/objects"),
});

const packsOf = (store: Folder, jobID: string, place: string) =>
  join(changesFolder(store, jobID), place, "objects/pack");

/** Environment in which git finds a job's objects, and writes others beside them. */
export function changesEnv(store: Folder, jobID: string, changes: JobChanges) {
  const { place } = changes;
  if (isNothing(changes)) mkdirSync(packsOf(store, jobID, place), { recursive: true, mode: 0o700 });
  return placeEnv(store, jobID, place);
}

/** Whether a job has changed nothing. Then its place is made when it is used first, which for most runs is never. */
export const isNothing = ({ base, tip }: JobChanges): boolean => base === tip;

const placeOf = (scratchID: string): string => scratchID.replace(/\W/g, "_");

/** Makes an empty place for the objects of a fetch. @returns its name */
export async function openPlace(store: ProjectStore, jobID: string, scratchID: string): Promise<string> {
  const place = placeOf(scratchID);
  await rm(join(changesFolder(store, jobID), place), { recursive: true, force: true });
  await mkdir(packsOf(store, jobID, place), { recursive: true, mode: 0o700 });
  return place;
}

/** Removes the place of a fetch that failed. */
export const removePlace = (store: ProjectStore, jobID: string, scratchID: string): Promise<void> =>
  rm(join(changesFolder(store, jobID), placeOf(scratchID)), { recursive: true, force: true });

/** Records these changes as the job's newest. */
export async function saveChanges(store: ProjectStore, jobID: string, changes: JobChanges): Promise<void> {
  const folder = changesFolder(store, jobID);
  const partial = join(folder, changes.place, RECORD);
  await writeFile(partial, JSON.stringify(changes), { mode: 0o600 });
  await rename(partial, join(folder, RECORD));
  await removeOldPlaces(folder, changes.place);
}

/** Records that a job has changed nothing of its base. Synchronous, as hundreds of runs end like this. */
export async function saveNoChanges(
  store: ProjectStore,
  jobID: string,
  base: string,
  scratchID: string,
): Promise<void> {
  const folder = changesFolder(store, jobID);
  const isNew = mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined;
  const none = { leftOut: [], unread: [], unborn: [], special: [], ignored: [], emptyFolders: [], elsewhere: [] };
  const place = placeOf(scratchID);
  const changes: JobChanges = { base, tip: base, commits: [], unlisted: 0, squashed: 0, ...none, place };
  const partial = join(folder, `${place}.json`);
  writeFileSync(partial, JSON.stringify(changes), { mode: 0o600 });
  renameSync(partial, join(folder, RECORD));
  if (!isNew) await removeOldPlaces(folder, place);
}

/** The changes that were fetched from a job last; null when there are none, or their record is damaged. */
export async function readChanges(store: Folder, jobID: string): Promise<JobChanges | null> {
  const text = await nullIfMissing(readFile(join(changesFolder(store, jobID), RECORD), "utf8"));
  if (text === null) return null;
  try {
    return { ...LATER_FIELDS, ...(JSON.parse(text) as JobChanges) };
  } catch {
    return null; // the job's snapshot still holds them
  }
}

/** Forgets a job's changes, because they are no longer its newest. Whoever is reading them may go on. */
export async function forgetChanges(store: Folder, jobID: string): Promise<void> {
  const folder = changesFolder(store, jobID);
  await rm(join(folder, RECORD), { force: true });
  await removeOldPlaces(folder, null);
}

/** Deletes everything that is kept of a job. */
export const removeChanges = (store: Folder, jobID: string): Promise<void> =>
  rm(changesFolder(store, jobID), { recursive: true, force: true });

/** @param current the place that stays in any case */
async function removeOldPlaces(folder: string, current: string | null): Promise<void> {
  const now = (await nullIfMissing(stat(folder)))?.ctimeMs; // just changed; by the clock of the file system
  if (now === undefined) return;
  const places: { readonly path: string; readonly madeAt: number }[] = [];
  for (const name of await readdir(folder)) {
    if (name === RECORD || name === current) continue;
    const path = join(folder, name);
    places.push({ path, madeAt: (await lstatOrNull(path))?.ctimeMs ?? now });
  }
  places.sort((a, b) => b.madeAt - a.madeAt);
  for (const [n, { path, madeAt }] of places.entries())
    if (n >= KEPT || now - madeAt > HELD_MS) await rm(path, { recursive: true, force: true });
}
