import { readdir, readlink, realpath } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { nullIfMissing } from "../../shared/missing-file.ts";
import { nullIfNotFound } from "../git.ts";
import { splitRecords, toBytes } from "../paths.ts";
import { realPathOrSelf } from "../project/home-folders.ts";
import type { ProjectStore } from "../project/project-store.ts";

const MAX_HOOKS = 200;
const MAX_STEPS = 20;

/**
 * Folders and files of the project that the user's git runs as hooks, relative to its root: the hooks folder as it is
 * configured, the folder it is after following links, and the targets of hooks that are links, as `.git/hooks/pre-commit`
 * often is. Hooks that our own command lines switch off count as well.
 */
export async function hookPaths(store: ProjectStore): Promise<readonly string[]> {
  if (!store.isRepository) return [];
  const folder = await hooksFolder(store);
  if (folder === null) return [];
  const names = (await nullIfMissing(readdir(folder))) ?? [];
  const hooks = await Promise.all(names.slice(0, MAX_HOOKS).map((name) => resolvePath(join(folder, name))));
  const root = await realPathOrSelf(store.root);
  const places = [
    relative(store.root, folder),
    ...[await resolvePath(folder), ...hooks].map((one) => relative(root, one)),
  ];
  const inside = places.filter((path) => path !== "" && path !== ".." && !path.startsWith(`..${sep}`));
  const tracked = inside.map((path) => path.split(sep).join("/")).filter((path) => !/^\.git(\/|$)/.test(path));
  return [...new Set(tracked)];
}

/** Absolute; null where git is configured to have no hooks. */
async function hooksFolder(store: ProjectStore): Promise<string | null> {
  const ask = ["config", "-z", "--type=path", "--get-all", "core.hooksPath"];
  const fields = splitRecords((await nullIfNotFound(store.user(ask))) ?? Buffer.alloc(0));
  // The last one is ours. Others on a command line or in the environment are the user's.
  const last = fields.at(-2);
  if (last !== undefined) return last === "" ? null : resolve(store.root, toBytes(last).toString("utf8"));
  const common = await store.user(["rev-parse", "--git-common-dir"]);
  return join(resolve(store.root, common.toString("utf8").replace(/\n$/, "")), "hooks");
}

/** Resolves all links of a path whose target may not exist yet. */
async function resolvePath(path: string, steps = MAX_STEPS): Promise<string> {
  const real = await realpath(path).catch(() => null);
  if (real !== null || steps === 0 || dirname(path) === path) return real ?? path;
  const folder = await resolvePath(dirname(path), steps - 1);
  const to = await readlink(path).catch(() => null);
  return to === null ? join(folder, basename(path)) : resolvePath(resolve(folder, to), steps - 1);
}
