import { lstat, realpath } from "node:fs/promises";
import { plainName } from "../../shared/plain-text.ts";
import { isSafePath, splitRecords, toText } from "../paths.ts";
import { namesIn, WalkLimitError, walkFolder } from "../walk-folder.ts";
import { withoutIgnored } from "./git-ignored.ts";
import type { TreeEntry } from "./tree-entries.ts";

/** What git says of one working tree: the user's repository, a nested one, or a plain folder. */
export interface TreeReader {
  /** Nothing of it is tracked, and all of it counts. */
  readonly isPlainFolder: boolean;
  /** Output of git for the tree at `below`, a path in the project that is empty or ends with a slash. */
  git(below: string, args: readonly string[], input?: Uint8Array): Promise<Buffer>;
  /** Absolute, as bytes. */
  absolute(path: string): Buffer;
}

export interface Listing {
  /** Everything that goes along and is there: files and links. */
  readonly paths: readonly string[];
  /** Bytes, by path. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Empty directories that are not ignored. */
  readonly emptyFolders: readonly string[];
  /** The index of the outermost repository; conflicted paths are not in it. */
  readonly index: ReadonlyMap<string, TreeEntry>;
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
  const unsafe: string[] = [];
  const isBehindLink = linkFinder(reader);
  for (const path of found.files) {
    // An index is a file like others: what comes in an archive may name what lies outside.
    if (!isSafePath(path)) {
      unsafe.push(path);
      continue;
    }
    if (await isBehindLink(path)) continue; // git holds it for deleted
    const stat = await lstat(reader.absolute(path)).catch(() => null);
    if (stat === null) {
      const parent = path.slice(0, path.lastIndexOf("/") + 1); // tracked and deleted, perhaps the last of its folder
      if (parent !== "" && (await isEmpty(reader, parent))) folders.add(parent.slice(0, -1));
      continue;
    }
    if (stat.isFile() || stat.isSymbolicLink()) sizes.set(path, stat.size);
    else if (!stat.isDirectory()) odd.push(path);
  }
  for (const folder of found.folders) await findEmpty(reader, folder, folders, found.notes);
  if (unsafe.length > 0) found.notes.push(`names that lead elsewhere were left out: ${named(unsafe)}`);
  if (odd.length > 0) found.notes.push(`${odd.length} sockets, pipes or devices were left out`);
  return {
    paths: [...sizes.keys()],
    sizes,
    emptyFolders: await withoutIgnored((...how) => reader.git(...how), [...folders], found.nested),
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

async function listOne(reader: TreeReader, below: string, found: Listed): Promise<Map<string, TreeEntry>> {
  const index = new Map<string, TreeEntry>();
  const inner: string[] = [];
  for (const record of splitRecords(await reader.git(below, ["ls-files", "-z", "--stage"]))) {
    const tab = record.indexOf("\t");
    const [mode = "", oid = "", stage] = record.slice(0, tab).split(" ");
    const path = below + record.slice(tab + 1);
    if (mode === "160000") {
      if (isSafePath(path)) inner.push(`${path}/`);
    } else found.files.add(path);
    if (stage === "0") index.set(path, { mode, oid });
  }
  if ((below === "" && reader.isPlainFolder) || (await takesUntracked(reader, below))) {
    const others = ["ls-files", "-z", "--others", "--exclude-standard"];
    for (const name of splitRecords(await reader.git(below, others))) {
      if (name.endsWith("/")) inner.push(below + name);
      else found.files.add(below + name);
    }
    for (const name of splitRecords(await reader.git(below, [...others, "--directory"]))) {
      if (name.endsWith("/") && !inner.includes(below + name)) found.folders.push(below + name);
    }
  } else {
    const where = below === "" ? "" : ` in ${plainName(toText(below))}`;
    found.notes.push(`files that git does not track${where} were not taken: status.showUntrackedFiles is off there`);
  }
  for (const root of new Set(inner)) {
    found.nested.push(root);
    const isRepository = await lstat(reader.absolute(`${root}.git`)).catch(() => null);
    if (!(await isInPlace(reader, root))) {
      found.notes.push(`the nested repository ${plainName(toText(root))} was left out: it is reached through a link`);
      continue;
    }
    if (!isRepository) {
      found.folders.push(root); // a submodule that was never fetched
      continue;
    }
    await listOne(reader, root, found).catch((error) => {
      found.notes.push(`the nested repository ${plainName(toText(root))} was left out: ${reasonOf(error, reader)}`);
    });
  }
  return index;
}

/** Whether one of the folders that a path is in is a link; each is looked at once. */
function linkFinder(reader: TreeReader): (path: string) => Promise<boolean> {
  const known = new Map<string, Promise<boolean>>();
  const isLink = async (folder: string): Promise<boolean> =>
    (await lstat(reader.absolute(folder)).catch(() => null))?.isSymbolicLink() === true || isBehindLink(folder);
  function isBehindLink(path: string): Promise<boolean> {
    const slash = path.lastIndexOf("/");
    if (slash < 0) return Promise.resolve(false);
    const folder = path.slice(0, slash);
    const found = known.get(folder) ?? isLink(folder);
    known.set(folder, found);
    return found;
  }
  return isBehindLink;
}

/** Where the project lies on the host is no business of its jobs, who read this. */
const reasonOf = (error: unknown, reader: TreeReader): string =>
  (error instanceof Error ? error.message : String(error)).replaceAll(reader.absolute("").toString("utf8"), "");

/**
 * The user's own word on whether untracked files are part of a repository: who keeps his home in one says no.
 * @source git-config(1), status.showUntrackedFiles: no, normal, all, or a boolean
 */
async function takesUntracked(reader: TreeReader, below: string): Promise<boolean> {
  const said = await reader.git(below, ["config", "--get", "status.showUntrackedFiles"]).catch(() => Buffer.alloc(0));
  return !/^(no|false|off|0)$/i.test(said.toString().trim());
}

/** Whether a folder is where its name says, not behind a link. */
async function isInPlace(reader: TreeReader, folder: string): Promise<boolean> {
  const real = async (path: string) =>
    Buffer.from(await realpath(reader.absolute(path), { encoding: "buffer" })).toString("latin1");
  const [top, there] = await Promise.all([real(""), real(folder)]).catch(() => ["", null]);
  return there === null || `${there}/` === `${top}/${folder}`; // a submodule that is not there is no link
}

/** Adds the empty directories at and below `folder`. */
async function findEmpty(reader: TreeReader, folder: string, into: Set<string>, notes: string[]): Promise<void> {
  if (await isEmpty(reader, folder)) into.add(folder.slice(0, -1));
  try {
    for await (const entry of walkFolder(reader.absolute(folder.slice(0, -1)), WALK))
      if (entry.kind === "folder" && entry.isEmpty) into.add(folder + entry.path);
  } catch (error) {
    if (!(error instanceof WalkLimitError)) throw error;
    notes.push(`not all empty folders in ${plainName(toText(folder))} were taken: ${error.message}`);
  }
}

const WALK = { entries: 1_000_000, depth: 500 };

const isEmpty = async (reader: TreeReader, folder: string): Promise<boolean> =>
  (await namesIn(reader.absolute(folder)).catch(() => null))?.length === 0;

const SHOWN = 20;

const named = (paths: readonly string[]): string =>
  `${paths
    .slice(0, SHOWN)
    .map((path) => plainName(toText(path)))
    .join(", ")}${paths.length > SHOWN ? " and others" : ""}`;
