import { lstat, mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { PluginError } from "../../shared/error-code.ts";
import { lstatOrNull } from "../../shared/missing-file.ts";
import { fromText, isSafePath } from "../paths.ts";
import type { ProjectStore } from "../project/project-store.ts";
import { autoLoadedByText, normalizeName } from "./auto-loaded-files.ts";
import { hookPaths } from "./git-hooks.ts";

/*
 * Where in the user's project a job's files may be written.
 * T1: inside the project, never in `.git`.
 * T2: never where tools load or run what lies there: in no hidden folder, and at no name of the list of auto-loaded files.
 * T3: through no link.
 * T4: only by names that every file system takes as they are written.
 */

/** Default folder for everything collected. Nothing loads files from it. */
export const COLLECTED = ".opencode/collected";

/**
 * Checks the target that the model asked for by its name alone (T1, T2, T4).
 * @returns the target, relative to the project's root
 * @throws PluginError `collect_failed`
 */
export function decideTarget(root: string, into: string): string {
  const path = isAbsolute(into) ? relative(root, into) : relative(root, resolve(root, into));
  const plain = path.split(sep).join("/");
  if (!isSafePath(fromText(plain))) throw refused(into, `it is not a path inside the project ${root}`);
  const rest = plain.startsWith(`${COLLECTED}/`) ? plain.slice(COLLECTED.length + 1) : plain;
  const parts = rest.split("/");
  if (parts.some(isAmbiguous)) throw refused(into, "some file system or shell takes its name for another");
  const hidden = parts.find((part) => part.startsWith("."));
  const who = hidden === undefined ? autoLoadedByText(rest) : "tools load or run what lies in hidden folders";
  if (who !== null) throw refused(into, `${who} without being asked; name another place`);
  return path;
}

/** T4: short names, streams, invisible or dropped characters, separators of other systems, and what shells and commands interpret. */
const isAmbiguous = (part: string): boolean =>
  /[:\\]|~\d+(\.|$)|^[-~]/.test(part) ||
  normalizeName(part) !== part.normalize("NFKC").toLowerCase() ||
  normalizeName(part) === "";

/** @throws PluginError `collect_failed` when the target is a link, is reached through one (T3), or cannot be looked up */
export async function refuseLinks(root: string, target: string): Promise<void> {
  let path = root;
  for (const part of target.split(sep)) {
    path = join(path, part);
    const stat = await lstatOrNull(path).catch((cause: Error) => {
      throw refused(target, cause.message);
    });
    if (stat === null) return;
    if (stat.isSymbolicLink()) throw refused(target, `${path} is a link`);
  }
}

/** @throws PluginError `collect_failed` when the target lies in a folder that the user's git runs hooks from, or contains one (T2) */
export async function refuseHooks(store: ProjectStore, target: string): Promise<void> {
  const inside = `${target.split(sep).join("/").toLowerCase()}/`;
  const places = (await hookPaths(store)).map((place) => `${place.toLowerCase()}/`);
  if (places.some((place) => inside.startsWith(place) || place.startsWith(inside)))
    throw refused(target, "git runs hooks from there without being asked; name another place");
}

/** Makes the folders one by one and checks each: a link among them might lead out of the project (T3). */
async function makeFolders(root: string, folder: string): Promise<void> {
  let path = root;
  for (const part of folder.split(sep).filter((one) => one !== "" && one !== ".")) {
    path = join(path, part);
    await mkdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    if (!(await lstat(path)).isDirectory()) throw refused(folder, `${path} is not a folder`);
  }
}

/** Makes the folders above a target, and a `.gitignore` that keeps the default folder out of git and of later jobs. */
export async function openTarget(root: string, target: string): Promise<void> {
  await makeFolders(root, dirname(target));
  if (!target.startsWith(join(COLLECTED, sep))) return;
  await writeFile(join(root, COLLECTED, ".gitignore"), "*\n", { flag: "wx" }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
}

/**
 * Chooses a folder for a job's files that is missing or empty. Where the default one is taken, the next number is appended.
 * @param into the folder asked for; null = the default
 * @returns the folder, relative to the project's root
 * @throws PluginError `collect_failed` when the folder asked for is taken or not allowed
 */
export async function decideFolder(root: string, jobID: string, into: string | null): Promise<string> {
  const target = decideTarget(root, into ?? join(COLLECTED, jobID.replace(/\W/g, "_")));
  await refuseLinks(root, target);
  if (await isFree(join(root, target))) return target;
  if (into !== null) throw refused(into, "it already exists, and your files are never overwritten; name a new folder");
  for (let n = 2; ; n++) if (await isFree(join(root, `${target}-${n}`))) return `${target}-${n}`;
}

async function isFree(path: string): Promise<boolean> {
  const stat = await lstatOrNull(path);
  return stat === null || (stat.isDirectory() && (await readdir(path)).length === 0);
}

function refused(target: string, why: string): PluginError {
  return new PluginError("collect_failed", `Could not write to ${target}: ${why}.`, { retryable: false });
}
