import { relative, resolve, sep } from "node:path";
import { splitRecords, toBytes } from "./paths.ts";
import type { ProjectStore } from "./project-store.ts";

/**
 * The folder of the project that the user's git runs hooks from, relative to the root; null = they lie elsewhere. Our own
 * runs of git have none: what the command line says does not count.
 */
export async function hooksFolder(store: ProjectStore): Promise<string | null> {
  if (!store.isRepository) return null;
  const ask = ["config", "-z", "--show-scope", "--type=path", "--get-all", "core.hooksPath"];
  const said = splitRecords(await store.user(ask).catch(() => Buffer.alloc(0)));
  const values = said.filter((_, n) => n % 2 === 1 && said[n - 1] !== "command");
  const last = values.at(-1);
  if (last === undefined || last === "") return null;
  const way = relative(store.root, resolve(store.root, toBytes(last).toString("utf8")));
  return way === "" || way === ".." || way.startsWith(`..${sep}`) ? null : way.split(sep).join("/");
}
