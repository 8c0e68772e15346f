import { lstat, mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { PluginError } from "../../shared/error-code.ts";
import { fromText, isSafePath } from "../paths.ts";
import type { ProjectStore } from "../project/project-store.ts";
import { autoLoadedByText, plainPart } from "./auto-loaded-files.ts";
import { hookPaths } from "./git-hooks.ts";

/*
 * Where in the user's project something of a job may be written. T1: inside the project, never in `.git`. T2: never
 * where something runs or obeys what lies there: no hidden folder, whoever looks into it, and nothing on the list of
 * files that are obeyed. T3: through no link. T4: by a name that stands for itself on every file system.
 */

/** Everything collected goes here unless the user says otherwise: nothing loads from it. */
export const COLLECTED = ".opencode/collected";

/** The target, relative to the project's root. @throws PluginError `collect_failed` (T1, T2, T4) */
export function decideTarget(root: string, into: string): string {
  const path = isAbsolute(into) ? relative(root, into) : relative(root, resolve(root, into));
  const plain = path.split(sep).join("/");
  if (!isSafePath(fromText(plain))) throw refused(into, `it is not a path inside the project ${root}`);
  const rest = plain.startsWith(`${COLLECTED}/`) ? plain.slice(COLLECTED.length + 1) : plain;
  const parts = rest.split("/");
  if (parts.some(isAmbiguous)) throw refused(into, "some file system or shell takes its name for another");
  const hidden = parts.find((part) => part.startsWith("."));
  const who = hidden === undefined ? autoLoadedByText(rest) : "tools run or obey what lies in hidden folders";
  if (who !== null) throw refused(into, `${who} without being asked; name another place`);
  return path;
}

/** T4: short names, streams, what is not seen or not kept, separators of other systems; what shells and commands read. */
const isAmbiguous = (part: string): boolean =>
  /[:\\]|~\d+(\.|$)|^[-~]/.test(part) ||
  plainPart(part) !== part.normalize("NFKC").toLowerCase() ||
  plainPart(part) === "";

/** @throws PluginError `collect_failed` when the target is a link, or is reached through one (T3) */
export async function refuseLinks(root: string, target: string): Promise<void> {
  let path = root;
  for (const part of target.split(sep)) {
    path = join(path, part);
    const stat = await lstat(path).catch(() => null);
    if (stat === null) return;
    if (stat.isSymbolicLink()) throw refused(target, `${path} is a link`);
  }
}

/** @throws PluginError `collect_failed` where the user's git runs hooks from, or around such a place (T2) */
export async function refuseHooks(store: ProjectStore, target: string): Promise<void> {
  const inside = `${target.split(sep).join("/").toLowerCase()}/`;
  const places = (await hookPaths(store)).map((place) => `${place.toLowerCase()}/`);
  if (places.some((place) => inside.startsWith(place) || place.startsWith(inside)))
    throw refused(target, "git runs hooks from there without being asked; name another place");
}

/** One by one: a link among them might lead out of the project (T3). */
async function makeFolders(root: string, folder: string): Promise<void> {
  let path = root;
  for (const part of folder.split(sep).filter((one) => one !== "" && one !== ".")) {
    path = join(path, part);
    await mkdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    if (!(await lstat(path)).isDirectory()) throw refused(folder, `${path} is no folder`);
  }
}

/** Makes the folders above a target. What is collected by default is no part of the project: git and later jobs pass it over. */
export async function openTarget(root: string, target: string): Promise<void> {
  await makeFolders(root, dirname(target));
  if (!target.startsWith(join(COLLECTED, sep))) return;
  await writeFile(join(root, COLLECTED, ".gitignore"), "*\n", { flag: "wx" }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
}

/**
 * A folder that is free for a job's files: the one asked for when it is not there or empty; else, by default, the next
 * of that name.
 * @param into null = the default
 * @throws PluginError `collect_failed`
 */
export async function decideFolder(root: string, jobID: string, into: string | null): Promise<string> {
  const target = decideTarget(root, into ?? join(COLLECTED, jobID.replace(/\W/g, "_")));
  await refuseLinks(root, target);
  if (await isFree(join(root, target))) return target;
  if (into !== null) throw refused(into, "it is there already, and nothing of yours is overwritten; name a new folder");
  for (let n = 2; ; n++) if (await isFree(join(root, `${target}-${n}`))) return `${target}-${n}`;
}

async function isFree(path: string): Promise<boolean> {
  const stat = await lstat(path).catch(() => null);
  return stat === null || (stat.isDirectory() && (await readdir(path)).length === 0);
}

function refused(target: string, why: string): PluginError {
  return new PluginError("collect_failed", `Could not write to ${target}: ${why}.`, { retryable: false });
}
