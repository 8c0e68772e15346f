import { lstat, readdir } from "node:fs/promises";
import { joinRecords, splitRecords, toBytes } from "./paths.ts";

/** What git says of one working tree: the user's repository, a nested one, or a plain folder. */
export interface TreeReader {
  /** Output of git for the tree at `below`, a path in the project that is empty or ends with a slash. */
  git(below: string, args: readonly string[], input?: Uint8Array): Promise<Buffer>;
  /** Absolute, as bytes. */
  absolute(path: string): Buffer;
}

export interface IndexEntry {
  readonly mode: string;
  readonly oid: string;
}

export interface Listing {
  /** Everything that goes along and is there: files and links. */
  readonly paths: readonly string[];
  /** Bytes, by path. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Empty directories that are not ignored. */
  readonly emptyFolders: readonly string[];
  /** The index of the outermost repository; conflicted paths are not in it. */
  readonly index: ReadonlyMap<string, IndexEntry>;
  /** Roots of submodules and nested repositories, with a slash at the end. Their files go along; their history is theirs. */
  readonly nested: readonly string[];
  /** What could not go along, in words. */
  readonly notes: readonly string[];
}

/** Looks through a project: what is tracked or not ignored, in nested repositories too. Reads names and sizes only. */
export async function listTree(reader: TreeReader): Promise<Listing> {
  const found: Listed = { files: new Set(), folders: [], nested: [], notes: [] };
  const index = await listOne(reader, "", found);
  const sizes = new Map<string, number>();
  const folders = new Set<string>();
  const odd: string[] = [];
  for (const path of found.files) {
    const stat = await lstat(reader.absolute(path)).catch(() => null);
    if (stat === null) {
      const parent = path.slice(0, path.lastIndexOf("/") + 1); // tracked and deleted, perhaps the last of its folder
      if (parent !== "" && (await isEmpty(reader, parent))) folders.add(parent.slice(0, -1));
      continue;
    }
    if (stat.isFile() || stat.isSymbolicLink()) sizes.set(path, stat.size);
    else if (!stat.isDirectory()) odd.push(path);
  }
  for (const folder of found.folders) await findEmpty(reader, folder, folders);
  if (odd.length > 0) found.notes.push(`${odd.length} sockets, pipes or devices were left out`);
  return {
    paths: [...sizes.keys()],
    sizes,
    emptyFolders: await notIgnored(reader, [...folders]),
    index,
    nested: found.nested,
    notes: found.notes,
  };
}

interface Listed {
  readonly files: Set<string>;
  readonly folders: string[];
  readonly nested: string[];
  readonly notes: string[];
}

async function listOne(reader: TreeReader, below: string, found: Listed): Promise<Map<string, IndexEntry>> {
  const index = new Map<string, IndexEntry>();
  const inner: string[] = [];
  for (const record of splitRecords(await reader.git(below, ["ls-files", "-z", "--stage"]))) {
    const tab = record.indexOf("\t");
    const [mode = "", oid = "", stage] = record.slice(0, tab).split(" ");
    const path = below + record.slice(tab + 1);
    if (mode === "160000") inner.push(`${path}/`);
    else found.files.add(path);
    if (stage === "0") index.set(path, { mode, oid });
  }
  for (const name of splitRecords(await reader.git(below, ["ls-files", "-z", "--others", "--exclude-standard"]))) {
    if (name.endsWith("/")) inner.push(below + name);
    else found.files.add(below + name);
  }
  const untracked = ["ls-files", "-z", "--others", "--exclude-standard", "--directory"];
  for (const name of splitRecords(await reader.git(below, untracked))) {
    if (name.endsWith("/") && !inner.includes(below + name)) found.folders.push(below + name);
  }
  for (const root of new Set(inner)) {
    found.nested.push(root);
    const isRepository = await lstat(reader.absolute(`${root}.git`)).catch(() => null);
    if (!isRepository) {
      found.folders.push(root); // a submodule that was never fetched
      continue;
    }
    await listOne(reader, root, found).catch((error) => {
      found.notes.push(`the nested repository ${root} was left out: ${(error as Error).message}`);
    });
  }
  return index;
}

/** Adds the empty directories at and below `folder`. */
async function findEmpty(reader: TreeReader, folder: string, into: Set<string>): Promise<void> {
  const entries = await namesIn(reader, folder);
  if (entries?.length === 0) into.add(folder.slice(0, -1));
  for (const entry of entries ?? []) {
    const below = folder + entry;
    const stat = entry === ".git" ? null : await lstat(reader.absolute(below)).catch(() => null);
    if (stat?.isDirectory()) await findEmpty(reader, `${below}/`, into);
  }
}

async function namesIn(reader: TreeReader, folder: string): Promise<string[] | null> {
  // Bun 1.3 gives bare `Uint8Array`s here, and together with `withFileTypes` no names at all.
  const names = await readdir(reader.absolute(folder), { encoding: "buffer" }).catch(() => null);
  return names?.map((name) => Buffer.from(name).toString("latin1")) ?? null;
}

const isEmpty = async (reader: TreeReader, folder: string) => (await namesIn(reader, folder))?.length === 0;

async function notIgnored(reader: TreeReader, folders: readonly string[]): Promise<string[]> {
  if (folders.length === 0) return [];
  const input = joinRecords(folders.map((folder) => `${folder}/`));
  // Ends with 1 when none is ignored, which is the usual case.
  const output = await reader.git("", ["check-ignore", "-z", "--stdin"], input).catch(() => Buffer.alloc(0));
  const ignored = new Set(splitRecords(output).map((name) => name.replace(/\/$/, "")));
  return folders.filter((folder) => !ignored.has(folder)).sort();
}

export const absoluteIn =
  (root: string) =>
  (path: string): Buffer =>
    Buffer.concat([Buffer.from(`${root}/`), toBytes(path)]);
