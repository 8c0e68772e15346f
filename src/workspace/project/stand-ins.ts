import { readFile, readlink } from "node:fs/promises";
import { lstatOrNull } from "../../shared/missing-file.ts";
import { nameList } from "../../shared/plain-text.ts";
import { followPath } from "../links.ts";
import { absoluteIn, foldersAbove, toText } from "../paths.ts";
import { readFilters } from "./filters.ts";
import { isLfsPointer, LFS_POINTER_BYTES } from "./lfs-pointer.ts";
import type { Listing } from "./list-project.ts";
import type { ProjectStore } from "./project-store.ts";
import type { TreeEntry } from "./tree-entries.ts";

/*
 * Files that only stand for content which lies elsewhere. They enter sandboxes as they are, the content does not, and
 * whoever reads one there would take it for a broken project.
 */

/** Links looked at. A project that keeps its files by links, as git-annex does, has hundreds of thousands. */
const MAX_LINKS = 10_000;

/** No absolute path lies below it: what the project's own place is called on the host means nothing in a sandbox. */
const NO_FOLDER = "\0";

/** Notes on them. @param exact the files that sandboxes get */
export async function notesOnStandIns(
  store: ProjectStore,
  listing: Listing,
  exact: ReadonlyMap<string, TreeEntry>,
): Promise<string[]> {
  const links = await linksToMore(store, listing, exact);
  const pointers = await lfsPointers(store, listing);
  return [
    ...(links.length === 0
      ? []
      : [
          `links lead to what is not sent with the project, so in sandboxes they may lead nowhere: ${nameList(links.map(toText))}`,
        ]),
    ...(pointers.length === 0
      ? []
      : [
          `files of Git LFS are pointers here, and so in sandboxes: their content was not fetched (git lfs pull): ${nameList(pointers.map(toText))}`,
        ]),
  ];
}

/** Links out of the project, whatever is there, as a look at a network disk that is away would never end; and links to files in it that are not sent. */
async function linksToMore(
  { root }: ProjectStore,
  { emptyFolders }: Listing,
  exact: ReadonlyMap<string, TreeEntry>,
): Promise<string[]> {
  const links = [...exact].flatMap(([path, { mode }]) => (mode === "120000" ? [path] : [])).slice(0, MAX_LINKS);
  if (links.length === 0) return [];
  const absolute = absoluteIn(root);
  const targets = new Map<string, string>();
  for (const path of links) {
    const target = await readlink(absolute(path), { encoding: "buffer" }).catch(() => null);
    if (target !== null) targets.set(path, target.toString("latin1"));
  }
  const sent = new Set(["", ...exact.keys(), ...emptyFolders]);
  for (const path of [...exact.keys(), ...emptyFolders])
    for (const folder of foldersAbove(path)) sent.add(folder.slice(0, -1));
  const found: string[] = [];
  for (const path of targets.keys()) {
    const { end } = followPath(path, (one) => targets.get(one), NO_FOLDER);
    if (end !== null && sent.has(end)) continue;
    // One that leads nowhere in the project either is as its user knows it.
    if (end === null || (await lstatOrNull(absolute(end)).catch(() => null)) !== null) found.push(path);
  }
  return found;
}

/** Pointers of Git LFS in place of their files, as a clone without Git LFS, or with GIT_LFS_SKIP_SMUDGE, leaves them. */
async function lfsPointers(store: ProjectStore, { paths, sizes }: Listing): Promise<string[]> {
  if (!store.isRepository) return [];
  const read = (path: string) => readFile(absoluteIn(store.root)(path), "latin1").catch(() => "");
  const rules = await Promise.all(paths.filter((path) => /(^|\/)\.gitattributes$/.test(path)).map(read));
  if (!rules.some((text) => /\bfilter=lfs\b/.test(text))) return [];
  const small = paths.filter((path) => (sizes.get(path) ?? 0) > 0 && (sizes.get(path) ?? 0) < LFS_POINTER_BYTES);
  const filters = await readFilters(store);
  const filtered = await filters.filtered((args, input) => store.user(args, { input }), small);
  const found: string[] = [];
  for (const [path, filter] of filtered) if (filter === "lfs" && isLfsPointer(await read(path))) found.push(path);
  return found;
}
