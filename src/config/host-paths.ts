import { homedir } from "node:os";
import { basename, dirname, isAbsolute, join, relative, sep } from "node:path";
import type { HostFiles } from "./host-files.ts";

export type HostEnv = Readonly<Record<string, string | undefined>>;

/** A base directory of the XDG specification, by which a relative value is ignored. @param fallback path below the home */
export const xdgHome = (given: string | undefined, env: HostEnv, ...fallback: string[]): string =>
  given !== undefined && isAbsolute(given) ? given : join(homeOf(env), ...fallback);

export const homeOf = (env: HostEnv): string => (env.HOME !== undefined && isAbsolute(env.HOME) ? env.HOME : homedir());

/** Expands a leading `~`. */
export const withHome = (given: string, env: HostEnv): string =>
  given === "~" || given.startsWith("~/") ? join(homeOf(env), given.slice(1)) : given;

/** Whether `path` is `folder` or lies below it. Links in both must be resolved. */
export function isWithin(path: string, folder: string): boolean {
  const fromFolder = relative(folder, path);
  return fromFolder !== ".." && !fromFolder.startsWith(`..${sep}`) && !isAbsolute(fromFolder);
}

/** The path with links resolved, as far as it exists. */
export async function realPathOf(path: string, files: Pick<HostFiles, "realpath">): Promise<string> {
  try {
    return await files.realpath(path);
  } catch {
    const folder = dirname(path);
    return folder === path ? path : join(await realPathOf(folder, files), basename(path));
  }
}

/** Folders that may be the project of a directory: the directory itself and every repository around it, links resolved. */
export async function projectRoots(directory: string, files: HostFiles): Promise<readonly string[]> {
  const start = await realPathOf(directory, files);
  const roots = [start];
  for (let folder = dirname(start); folder !== dirname(folder); folder = dirname(folder)) {
    if (await files.exists(join(folder, ".git"))) roots.push(folder);
  }
  return roots;
}
