import { link, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { lstatOrNull } from "../../shared/missing-file.ts";
import { GitError } from "../git-error.ts";
import { absoluteIn, joinRecords, splitRecords } from "../paths.ts";
import type { Listing } from "./list-project.ts";
import type { ProjectStore } from "./project-store.ts";
import { parseStage, type TreeEntry } from "./tree-entries.ts";

/** The files as they are, as a tree in our store. */
export interface HashedFiles {
  readonly tree: string;
  readonly entries: ReadonlyMap<string, TreeEntry>;
}

/**
 * Hashes the files that changed since the last capture; the index in the store knows the others by size and time. That
 * index may be damaged, or name contents that only the user's repository had and has no longer, as after an undone commit
 * or a new clone in the place of the old one: it is then made anew from all files, once.
 * @param scratch name of the index file of this call
 * @throws GitError
 */
export async function hashFiles(store: ProjectStore, listing: Listing, scratch: string): Promise<HashedFiles> {
  const wanted = new Set(listing.paths);
  for (const path of listing.hidden) wanted.delete(path);
  let isAnew = false;
  for (let attempt = 1; ; attempt++) {
    try {
      return await hashChanged(store, wanted, scratch);
    } catch (error) {
      if (!(error instanceof GitError) || error.code === null) throw error;
      // git stops at a file that is removed just when it is opened.
      if (attempt < TRIES && (await dropMissing(store, wanted))) continue;
      if (isAnew) throw error;
    }
    isAnew = true;
    await rm(join(store.folder, INDEX), { force: true });
  }
}

/** Where files come and go all the time. */
const TRIES = 5;

/** @returns whether any of the files is gone */
async function dropMissing({ root }: ProjectStore, wanted: Set<string>): Promise<boolean> {
  const paths = [...wanted];
  const place = absoluteIn(root);
  const found = await Promise.all(paths.map((path) => lstatOrNull(place(path)).catch(() => null)));
  for (const [n, path] of paths.entries()) if (found[n] === null) wanted.delete(path);
  return wanted.size < paths.length;
}

const INDEX = "index";

async function hashChanged(store: ProjectStore, wanted: ReadonlySet<string>, scratch: string): Promise<HashedFiles> {
  const index = join(store.folder, INDEX);
  const working = join(store.folder, scratch);
  // Linked, not copied, to keep its time, by which git notices a file that changed in the same second. Where that fails, as
  // on a file system without hard links, all files are hashed again.
  await link(index, working).catch(() => {});
  try {
    const known = splitRecords(await store.onFiles(scratch, ["ls-files", "-z"]));
    const gone = known.filter((path) => !wanted.has(path));
    if (gone.length > 0)
      await store.onFiles(scratch, ["update-index", "-z", "--force-remove", "--stdin"], { input: joinRecords(gone) });
    await store.onFiles(scratch, ["update-index", "-z", "--add", "--remove", "--replace", "--stdin"], {
      input: joinRecords([...wanted]),
    });
    const tree = (await store.onFiles(scratch, ["write-tree"])).toString().trim();
    const entries = parseStage(await store.onFiles(scratch, ["ls-files", "-z", "--stage"]));
    await rename(working, index);
    return { tree, entries };
  } finally {
    await rm(working, { force: true });
  }
}
