import { lstat, mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { LabError } from "../shared/error-code.ts";
import { fromText, isSafePath } from "./paths.ts";

/*
 * Where in the user's project something of a job may be written. T1: inside the project, never in `.git`. T2: never
 * where OpenCode loads agents, commands, skills, tools or plugins from. T3: through no link.
 */

/** Everything collected goes here unless the user says otherwise: OpenCode loads nothing from it. */
export const COLLECTED = ".opencode/collected";

const LOADED = /^(agent|command|mode|plugin|skill|tool)s?$/;
/** Folders with things to load in them, in a project or a home directory. */
const LOADING = new Set([".opencode", ".claude", ".agents"]);

/** The target, relative to the project's root. @throws LabError `collect_failed` (T1, T2) */
export function decideTarget(root: string, into: string): string {
  const path = isAbsolute(into) ? relative(root, into) : relative(root, resolve(root, into));
  const plain = path.split(sep).join("/");
  if (!isSafePath(fromText(plain))) throw refused(into, `it is not a path inside the project ${root}`);
  if (isLoaded(plain)) throw refused(into, "OpenCode may load what lies there; name another place");
  return path;
}

/** File systems may ignore case, and how a letter is composed. */
function isLoaded(path: string): boolean {
  const parts = path.split("/").map((part) =>
    part
      .normalize("NFKC")
      .toLowerCase()
      .replace(/[. ]+$/, ""),
  );
  return parts.some((part, n) => {
    const isOurs = LOADING.has(part) || (part === "opencode" && parts[n - 1] === ".config");
    return isOurs && (n === parts.length - 1 || LOADED.test(parts[n + 1] as string));
  });
}

/** @throws LabError `collect_failed` when the target is a link, or is reached through one (T3) */
export async function refuseLinks(root: string, target: string): Promise<void> {
  let path = root;
  for (const part of target.split(sep)) {
    path = join(path, part);
    const stat = await lstat(path).catch(() => null);
    if (stat === null) return;
    if (stat.isSymbolicLink()) throw refused(target, `${path} is a link`);
  }
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
 * @throws LabError `collect_failed`
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

function refused(target: string, why: string): LabError {
  return new LabError("collect_failed", `Could not write to ${target}: ${why}.`, { retryable: false });
}
