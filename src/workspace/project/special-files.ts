import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { fromText, toText } from "../paths.ts";
import { ignoredNames } from "./git-ignored.ts";
import type { TreeReader } from "./tree-reader.ts";

/** Sockets, pipes and devices beside the project's files, which git does not list. Those that it ignores are not named. */
export async function untrackedSpecialFiles(
  reader: TreeReader,
  paths: Iterable<string>,
  nested: readonly string[],
): Promise<string[]> {
  const folders = new Set([""]);
  for (const path of paths)
    for (
      let end = path.lastIndexOf("/");
      end > 0 && !folders.has(path.slice(0, end));
      end = path.lastIndexOf("/", end - 1)
    )
      folders.add(path.slice(0, end));
  const special: string[] = [];
  for (const folder of folders) {
    const entries = await readdir(reader.absolute(folder), { withFileTypes: true, encoding: "utf8" }).catch((): Dirent[] => []); // biome-ignore format: one line
    for (const entry of entries)
      if (entry.isSocket() || entry.isFIFO() || entry.isCharacterDevice() || entry.isBlockDevice())
        special.push(fromText(folder === "" ? entry.name : `${toText(folder)}/${entry.name}`));
  }
  const own = special.filter((path) => !nested.some((root) => path.startsWith(root)));
  const ignored = await ignoredNames((...how) => reader.git("", ...how), own).catch((): string[] => []);
  return special.filter((path) => !ignored.includes(path));
}
