import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { nullIfMissing } from "../../shared/missing-file.ts";
import type { ProjectStore } from "./project-store.ts";

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
  /** Repositories without a commit that the job made among its files, as the job reports them. */
  readonly unborn: readonly string[];
}

/** Former versions did not record these. */
const LATER_FIELDS: Partial<JobChanges> = { unread: [], unborn: [] };

/** The name is that of former versions. */
const RECORD = "work.json";

/** Absolute path of everything that is kept of a job. */
export const changesFolder = ({ folder }: Pick<ProjectStore, "folder">, jobID: string): string =>
  join(folder, "jobs", jobID.replace(/\W/g, "_"));

export const changesRecord = (folder: string): string => join(folder, RECORD);

/** Environment in which git writes objects below `folder` and reads those of the project's store as well. */
export const objectsEnv = (store: ProjectStore, folder: string): Readonly<Record<string, string>> => ({
  GIT_OBJECT_DIRECTORY: join(folder, "objects"),
  GIT_ALTERNATE_OBJECT_DIRECTORIES: join(store.folder, "git/objects"),
});

/** Environment in which git finds a job's objects. */
export const jobObjectsEnv = (store: ProjectStore, jobID: string) => objectsEnv(store, changesFolder(store, jobID));

/** The changes that were fetched from a job last; null when there are none, or their record is damaged. */
export async function readChanges(store: ProjectStore, jobID: string): Promise<JobChanges | null> {
  const text = await nullIfMissing(readFile(changesRecord(changesFolder(store, jobID)), "utf8"));
  if (text === null) return null;
  try {
    return { ...LATER_FIELDS, ...(JSON.parse(text) as JobChanges) };
  } catch {
    return null; // the job's snapshot still holds them
  }
}

export const removeChanges = (store: Pick<ProjectStore, "folder">, jobID: string): Promise<void> =>
  rm(changesFolder(store, jobID), { recursive: true, force: true });
