import { homedir } from "node:os";
import { basename, dirname, isAbsolute, join, relative, sep } from "node:path";
import type { HostFiles } from "./host-files.ts";

export type HostEnv = Readonly<Record<string, string | undefined>>;

// The XDG specification has relative values ignored.
export const xdgHome = (given: string | undefined, env: HostEnv, ...fallback: string[]): string =>
  given !== undefined && isAbsolute(given) ? given : join(homeOf(env), ...fallback);

export const homeOf = (env: HostEnv): string => (env.HOME !== undefined && isAbsolute(env.HOME) ? env.HOME : homedir());

export const withHome = (given: string, env: HostEnv): string =>
  given === "~" || given.startsWith("~/") ? join(homeOf(env), given.slice(1)) : given;

/** Whether `path` is `folder` or lies in it. Both without links. */
export function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** Where a path leads, links followed, also where its last parts do not exist yet. */
export async function realPathOf(path: string, files: Pick<HostFiles, "realpath">): Promise<string> {
  try {
    return await files.realpath(path);
  } catch {
    const folder = dirname(path);
    return folder === path ? path : join(await realPathOf(folder, files), basename(path));
  }
}

/** The folders that a directory's project may consist of: itself, and every repository it lies in. Without links. */
export async function projectRoots(directory: string, files: HostFiles): Promise<readonly string[]> {
  const start = await realPathOf(directory, files);
  const roots = [start];
  for (let folder = dirname(start); folder !== dirname(folder); folder = dirname(folder)) {
    if (await files.exists(join(folder, ".git"))) roots.push(folder);
  }
  return roots;
}
