import { realpath } from "node:fs/promises";
import { PromiseCache } from "../../shared/memoize-until-failure.ts";
import { isMissing, lstatOrNull } from "../../shared/missing-file.ts";
import { plainName } from "../../shared/plain-text.ts";
import { nullIfNotFound } from "../git.ts";
import { isSafePath, splitRecords, toText } from "../paths.ts";
import { listFolder, WalkLimitError, walkFolder } from "../walk-folder.ts";
import { withoutIgnored } from "./git-ignored.ts";
import type { TreeEntry } from "./tree-entries.ts";

/** Access to the project's working tree: the user's repository, or a plain folder. */
export interface TreeReader {
  /** Whether the project is no repository, so that every file in it is untracked. */
  readonly isPlainFolder: boolean;
  /** Runs git in the project ("") or in a nested repository (its path, with a trailing slash) and returns the output. */
  git(below: string, args: readonly string[], input?: Uint8Array): Promise<Buffer>;
  /** Absolute, as bytes. */
  absolute(path: string): Buffer;
}

export interface Listing {
  /** Files and links to copy. */
  readonly paths: readonly string[];
  /** Sizes in bytes, by path. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Empty folders that git does not ignore. */
  readonly emptyFolders: readonly string[];
  /** The index of the outermost repository, without conflicted paths. */
  readonly index: ReadonlyMap<string, TreeEntry>;
  /** Roots of submodules and nested repositories, each with a trailing slash. Their files are copied, their history is not. */
  readonly nested: readonly string[];
  /** What was left out, in words. */
  readonly notes: readonly string[];
}

/** Lists what is tracked or not ignored in a project and its nested repositories. Reads names and sizes only. */
export async function listTree(reader: TreeReader): Promise<Listing> {
  const found: Listed = { files: new Set(), folders: [], nested: [], notes: [] };
  const index = await listRepository(reader, "", found);
  const sizes = new Map<string, number>();
  const folders = new Set<string>();
  let specialFiles = 0;
  const unsafe: string[] = [];
  const isBehindLink = createLinkFinder(reader);
  for (const path of found.files) {
    // An index is a file like any other: one that came in an archive may name files outside the project.
    if (!isSafePath(path)) {
      unsafe.push(path);
      continue;
    }
    if (await isBehindLink(path)) continue; // git treats it as deleted
    const stat = await lstatOrNull(reader.absolute(path));
    if (stat === null) {
      const parent = path.slice(0, path.lastIndexOf("/") + 1); // tracked and deleted, perhaps the last file of its folder
      if (parent !== "" && (await isEmpty(reader, parent))) folders.add(parent.slice(0, -1));
      continue;
    }
    if (stat.isFile() || stat.isSymbolicLink()) sizes.set(path, stat.size);
    else if (!stat.isDirectory()) specialFiles += 1;
  }
  for (const folder of found.folders) await findEmpty(reader, folder, folders, found.notes);
  if (unsafe.length > 0) found.notes.push(`names that lead elsewhere were left out: ${listNames(unsafe)}`);
  if (specialFiles > 0) found.notes.push(`sockets, pipes and devices were left out: ${specialFiles}`);
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

/** Lists one repository and those nested in it. @param below its path, "" or with a trailing slash @returns its index */
async function listRepository(reader: TreeReader, below: string, found: Listed): Promise<Map<string, TreeEntry>> {
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
    found.notes.push(`files that git does not track${where} were left out: status.showUntrackedFiles is off there`);
  }
  for (const root of new Set(inner)) {
    found.nested.push(root);
    if (!(await isInPlace(reader, root))) {
      found.notes.push(`the nested repository ${plainName(toText(root))} was left out: it is reached through a link`);
      continue;
    }
    if ((await lstatOrNull(reader.absolute(`${root}.git`))) === null) {
      found.folders.push(root); // a submodule that was never fetched
      continue;
    }
    await listRepository(reader, root, found).catch((error) => {
      found.notes.push(`the nested repository ${plainName(toText(root))} was left out: ${reasonOf(error, reader)}`);
    });
  }
  return index;
}

/** Tells whether one of the folders above a path is a link. Each folder is looked up once. */
function createLinkFinder(reader: TreeReader): (path: string) => Promise<boolean> {
  const links = new PromiseCache<string, boolean>();
  const isLink = async (folder: string): Promise<boolean> =>
    (await isBehindLink(folder)) || (await lstatOrNull(reader.absolute(folder)))?.isSymbolicLink() === true;
  async function isBehindLink(path: string): Promise<boolean> {
    const slash = path.lastIndexOf("/");
    if (slash < 0) return false;
    const folder = path.slice(0, slash);
    return links.getOrMake(folder, () => isLink(folder));
  }
  return isBehindLink;
}

/** The error's message without the project's place on the host, which its jobs, who read this, need not know. */
const reasonOf = (error: unknown, reader: TreeReader): string =>
  (error instanceof Error ? error.message : String(error)).replaceAll(reader.absolute("").toString("utf8"), "");

/**
 * Whether the user counts untracked files as part of a repository. Those who keep their home directory in one often do not.
 * @source git-config(1), status.showUntrackedFiles: no, normal, all, or a boolean
 */
async function takesUntracked(reader: TreeReader, below: string): Promise<boolean> {
  const value = await nullIfNotFound(reader.git(below, ["config", "--get", "status.showUntrackedFiles"]));
  return !/^(no|false|off|0)$/i.test(value?.toString().trim() ?? "");
}

/** Whether a folder lies where its path says, and is not reached through a link. A missing one counts as in place. */
async function isInPlace(reader: TreeReader, folder: string): Promise<boolean> {
  const real = async (path: string) =>
    Buffer.from(await realpath(reader.absolute(path), { encoding: "buffer" })).toString("latin1");
  try {
    return `${await real(folder)}/` === `${await real("")}/${folder}`;
  } catch (error) {
    return isMissing(error);
  }
}

/** Adds the empty folders at and below `folder`. */
async function findEmpty(reader: TreeReader, folder: string, into: Set<string>, notes: string[]): Promise<void> {
  if (await isEmpty(reader, folder)) into.add(folder.slice(0, -1));
  try {
    for await (const entry of walkFolder(reader.absolute(folder.slice(0, -1)), WALK))
      if (entry.kind === "folder" && entry.isEmpty) into.add(folder + entry.path);
  } catch (error) {
    if (!(error instanceof WalkLimitError)) throw error;
    notes.push(`some empty folders in ${plainName(toText(folder))} were left out: ${error.message}`);
  }
}

const WALK = { entries: 1_000_000, depth: 500 };

const isEmpty = async (reader: TreeReader, folder: string): Promise<boolean> =>
  (await listFolder(reader.absolute(folder)).catch(() => null))?.length === 0; // an unreadable folder is not known to be empty

const SHOWN = 20;

const listNames = (paths: readonly string[]): string =>
  `${paths
    .slice(0, SHOWN)
    .map((path) => plainName(toText(path)))
    .join(", ")}${paths.length > SHOWN ? " and others" : ""}`;
