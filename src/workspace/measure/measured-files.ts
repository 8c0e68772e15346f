import { copyFile, link, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { nullIfMissing } from "../../shared/missing-file.ts";
import type { ProjectStore } from "../project/project-store.ts";

/*
 * What runs measure, kept from the moment they are asked for until they end: in a folder for each run, with a record and
 * the objects that the store lacks.
 */

export interface MeasuredFiles {
  /** A commit with all files of the measurement; its parent is the project's base. */
  readonly commit: string;
  /** Of the base, those that the measurement lacks. */
  readonly removed: readonly string[];
}

type Folder = Pick<ProjectStore, "folder">;

const RECORD = "measured.json";
const folderOf = ({ folder }: Folder, runID: string): string => join(folder, "measured", runID.replace(/\W/g, "_"));
const packsOf = (store: Folder, runID: string): string => join(folderOf(store, runID), "objects/pack");

/** Environment in which git finds the objects of a run's measurement. */
export const measuredEnv = (store: Folder, runID: string): Readonly<Record<string, string>> => ({
  GIT_OBJECT_DIRECTORY: join(folderOf(store, runID), "objects"),
  GIT_ALTERNATE_OBJECT_DIRECTORIES: join(store.folder, "git/objects"),
});

/** @param pack file with the objects, which may be empty of objects that the store lacks */
export async function saveMeasured(
  store: ProjectStore,
  runIDs: readonly string[],
  files: MeasuredFiles,
  pack: string,
): Promise<void> {
  const [first] = runIDs;
  for (const runID of runIDs) {
    await rm(folderOf(store, runID), { recursive: true, force: true });
    await mkdir(packsOf(store, runID), { recursive: true, mode: 0o700 });
    if (runID === first)
      await store.run(["index-pack", "--stdin"], {
        inputFile: pack,
        env: measuredEnv(store, runID),
        isUntrusted: true,
      });
    else if (first !== undefined) await shareFiles(packsOf(store, first), packsOf(store, runID));
    const path = join(folderOf(store, runID), RECORD);
    await writeFile(`${path}.part`, JSON.stringify(files), { mode: 0o600 });
    await rename(`${path}.part`, path);
  }
}

/** Some file systems have no hard links. */
async function shareFiles(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    await link(source, target).catch(() => copyFile(source, target));
  }
}

/** null = nothing is kept of it. */
export async function readMeasured(store: Folder, runID: string): Promise<MeasuredFiles | null> {
  const text = await nullIfMissing(readFile(join(folderOf(store, runID), RECORD), "utf8"));
  try {
    return text === null ? null : (JSON.parse(text) as MeasuredFiles);
  } catch {
    return null; // taken anew
  }
}

export const forgetMeasured = (store: Folder, runID: string): Promise<void> =>
  rm(folderOf(store, runID), { recursive: true, force: true });
