import { readdir, readlink, realpath } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { splitRecords, toBytes } from "../paths.ts";
import { realPathOrSelf } from "../project/home-folders.ts";
import type { ProjectStore } from "../project/project-store.ts";

const MAX_HOOKS = 200;
const MAX_STEPS = 20;

/**
 * Folders and files of the project that the user's git runs as hooks, relative to the root: the folder of hooks as it is
 * configured and as it lies behind links, and where the hooks in it lead that are links, as `.git/hooks/pre-commit` often
 * does. Our own runs of git have none: what the command line says does not count.
 */
export async function hookPaths(store: ProjectStore): Promise<readonly string[]> {
  if (!store.isRepository) return [];
  const folder = await hooksFolder(store);
  if (folder === null) return [];
  const names = await readdir(folder).catch(() => []);
  const hooks = await Promise.all(names.slice(0, MAX_HOOKS).map((name) => endOf(join(folder, name))));
  const root = await realPathOrSelf(store.root);
  const places = [relative(store.root, folder), ...[await endOf(folder), ...hooks].map((one) => relative(root, one))];
  const inside = places.filter((way) => way !== "" && way !== ".." && !way.startsWith(`..${sep}`));
  const plain = inside.map((way) => way.split(sep).join("/")).filter((way) => !/^\.git(\/|$)/.test(way));
  return [...new Set(plain)];
}

/** Absolute; null where git is told to have none. */
async function hooksFolder(store: ProjectStore): Promise<string | null> {
  const ask = ["config", "-z", "--show-scope", "--type=path", "--get-all", "core.hooksPath"];
  const said = splitRecords(await store.user(ask).catch(() => Buffer.alloc(0)));
  const last = said.filter((_, n) => n % 2 === 1 && said[n - 1] !== "command").at(-1);
  if (last !== undefined) return last === "" ? null : resolve(store.root, toBytes(last).toString("utf8"));
  const common = await store.user(["rev-parse", "--git-common-dir"]).catch(() => Buffer.from(".git"));
  return join(resolve(store.root, common.toString("utf8").replace(/\n$/, "")), "hooks");
}

/** Where a path leads by all links on it, though what it leads to may not be there yet. */
async function endOf(path: string, steps = MAX_STEPS): Promise<string> {
  const real = await realpath(path).catch(() => null);
  if (real !== null || steps === 0 || dirname(path) === path) return real ?? path;
  const folder = await endOf(dirname(path), steps - 1);
  const to = await readlink(path).catch(() => null);
  return to === null ? join(folder, basename(path)) : endOf(resolve(folder, to), steps - 1);
}
