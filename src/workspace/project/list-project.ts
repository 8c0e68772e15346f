import { constants, type Stats } from "node:fs";
import { access, realpath } from "node:fs/promises";
import { PromiseCache } from "../../shared/memoize-until-failure.ts";
import { isMissing, lstatOrNull } from "../../shared/missing-file.ts";
import { nameList, plainName } from "../../shared/plain-text.ts";
import { isReportName } from "../../shared/report-name.ts";
import { nullIfNotFound } from "../git.ts";
import { createInside, gitFolders } from "../git-folders.ts";
import { isSafePath, splitRecords, toText } from "../paths.ts";
import { listFolder, WalkLimitError, walkFolder } from "../walk-folder.ts";
import { withoutIgnored } from "./git-ignored.ts";
import { otherWorktrees } from "./other-worktrees.ts";
import { sparsePlaces } from "./sparse-checkout.ts";
import { untrackedSpecialFiles } from "./special-files.ts";
import type { TreeEntry } from "./tree-entries.ts";
import type { TreeReader } from "./tree-reader.ts";

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
  /** Files and folders that are there but not copied: unreadable ones, and repositories that lie about as plain files. */
  readonly withheld: readonly string[];
  /** Those of `paths` whose changes the user hides from git. */
  readonly hidden: readonly string[];
  /** What was left out, in words. */
  readonly notes: readonly string[];
}

/** Lists what is tracked or not ignored in a project and its nested repositories. Reads names and sizes only. */
export async function listTree(reader: TreeReader): Promise<Listing> {
  const found: Listed = { files: new Set(), folders: [], nested: [], closed: new Set(), hidden: new Set(), notes: [] };
  const index = await listRepository(reader, "", found);
  const repositories = gitFolders(found.files);
  const isInRepository = createInside(repositories);
  const sizes = new Map<string, number>();
  const folders = new Set<string>();
  const special: string[] = [];
  const sparse: string[] = [];
  const unsafe: string[] = [];
  const isBehindLink = createLinkFinder(reader);
  for (const path of found.files) {
    if (isInRepository(path)) continue;
    // An index is a file like any other: one that came in an archive may name files outside the project.
    if (!isSafePath(path)) {
      unsafe.push(path);
      continue;
    }
    const stat = await lookAt(path);
    if (stat === "closed" || stat === "behind a link") continue;
    if (stat === null) {
      if (found.hidden.has(path)) sparse.push(path);
      const parent = path.slice(0, path.lastIndexOf("/") + 1); // tracked and deleted, perhaps the last file of its folder
      if (parent !== "" && (await isEmpty(reader, parent))) folders.add(parent.slice(0, -1));
      continue;
    }
    if (await isClosedFile(reader, path, stat)) found.closed.add(path);
    else if (stat.isFile() || stat.isSymbolicLink()) sizes.set(path, stat.size);
    else if (!stat.isDirectory()) special.push(path);
  }
  for (const folder of found.folders) await findEmpty(reader, folder, folders, found);
  const closed = [...found.closed].sort();
  if (repositories.length > 0)
    found.notes.push(
      `git repositories among the files were left out, as their settings may hold passwords: ${listNames(repositories)}`,
    );
  if (closed.length > 0) found.notes.push(`what you may not read was left out: ${listNames(closed)}`);
  const unchecked = await sparsePlaces(reader, sparse);
  if (unchecked.length > 0)
    found.notes.push(
      `tracked files that are not checked out (skip-worktree, as in a sparse checkout) were left out: ${sparse.length}, in ${listNames(unchecked)}`,
    );
  if (unsafe.length > 0) found.notes.push(`names that lead elsewhere were left out: ${listNames(unsafe)}`);
  special.push(...(await untrackedSpecialFiles(reader, sizes.keys(), found.nested)));
  if (special.length > 0)
    found.notes.push(`sockets, pipes and devices were left out: ${listNames([...new Set(special)])}`);
  return {
    paths: [...sizes.keys()],
    sizes,
    emptyFolders: await withoutIgnored(
      (...how) => reader.git(...how),
      [...folders].filter((folder) => !isInRepository(folder)),
      found.nested,
    ),
    index,
    nested: found.nested,
    withheld: [...repositories, ...closed, ...unchecked],
    hidden: [...sizes.keys()].filter((path) => found.hidden.has(path)),
    notes: found.notes,
  };

  /** "behind a link": git treats it as deleted. */
  async function lookAt(path: string): Promise<Stats | null | "behind a link" | "closed"> {
    try {
      return (await isBehindLink(path)) ? "behind a link" : await lstatOrNull(reader.absolute(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
      found.closed.add(await closedFolderOf(reader, path));
      return "closed";
    }
  }
}

/** Whether the user himself may not read a file. Looked up only where its mode suggests it. */
const isClosedFile = async (reader: TreeReader, path: string, stat: Stats): Promise<boolean> =>
  stat.isFile() &&
  (stat.mode & 0o444) !== 0o444 &&
  (await access(reader.absolute(path), constants.R_OK).then(
    () => false,
    (error: unknown) => (error as NodeJS.ErrnoException).code === "EACCES",
  ));

/** The outermost folder above a path that the user may not enter. */
async function closedFolderOf(reader: TreeReader, path: string): Promise<string> {
  for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
    const folder = path.slice(0, slash);
    if (
      !(await access(reader.absolute(folder), constants.X_OK).then(
        () => true,
        () => false,
      ))
    )
      return folder;
  }
  return path;
}

interface Listed {
  readonly files: Set<string>;
  readonly folders: string[];
  readonly nested: string[];
  /** What the user himself may not read. */
  readonly closed: Set<string>;
  /** Entries of an index that have the flag skip-worktree or assume-unchanged. */
  readonly hidden: Set<string>;
  readonly notes: string[];
}

/** Lists one repository and those nested in it. @param below its path, "" or with a trailing slash @returns its index */
async function listRepository(reader: TreeReader, below: string, found: Listed): Promise<Map<string, TreeEntry>> {
  const index = new Map<string, TreeEntry>();
  const inner: string[] = [];
  const reports: string[] = [];
  for (const record of splitRecords(await reader.git(below, ["ls-files", "-z", "-v", "--stage"]))) {
    const tab = record.indexOf("\t");
    const [tag = "", mode = "", oid = "", stage] = record.slice(0, tab).split(" ");
    const path = below + record.slice(tab + 1);
    if (/[a-zS]/.test(tag)) found.hidden.add(path);
    if (mode === "160000") {
      if (isSafePath(path)) inner.push(`${path}/`);
    } else found.files.add(path);
    if (stage === "0") index.set(path, { mode, oid });
  }
  if ((below === "" && reader.isPlainFolder) || (await takesUntracked(reader, below))) {
    const others = ["ls-files", "-z", "--others", "--exclude-standard"];
    for (const name of splitRecords(await reader.git(below, others))) {
      if (name.endsWith("/")) inner.push(below + name);
      // A report tells of all jobs, and changes the files that experiments are told apart by.
      else if (isReportName(name)) reports.push(plainName(toText(below + name)));
      else found.files.add(below + name);
    }
    if (reports.length > 0) found.notes.push(`reports of this plugin were left out: ${listNames(reports)}`);
    for (const name of splitRecords(await reader.git(below, [...others, "--directory"]))) {
      if (name.endsWith("/") && !inner.includes(below + name)) found.folders.push(below + name);
    }
  } else {
    const where = below === "" ? "" : ` in ${plainName(toText(below))}`;
    found.notes.push(`files that git does not track${where} were left out: status.showUntrackedFiles is off there`);
  }
  const roots = [...new Set(inner)];
  const copies = await otherWorktrees(reader, below, roots);
  if (copies.size > 0)
    found.notes.push(
      `other working trees of a repository that is there already were left out: ${listNames([...copies])}`,
    );
  for (const root of roots) {
    found.nested.push(root);
    if (copies.has(root)) continue;
    const name = plainName(toText(root));
    if (!(await isInPlace(reader, root))) {
      found.notes.push(`the nested repository ${name} was left out: it is reached through a link`);
      continue;
    }
    if ((await lstatOrNull(reader.absolute(`${root}.git`)).catch(() => null)) === null) {
      await listUnfetched(reader, below, root, found);
      continue;
    }
    await listRepository(reader, root, found).catch((error) => {
      found.notes.push(`the nested repository ${name} was left out: ${reasonOf(error, reader)}`);
    });
  }
  return index;
}

/** Lists what lies in the folder of a submodule that is not fetched: nothing, or files of the user's own. */
async function listUnfetched(reader: TreeReader, below: string, root: string, found: Listed): Promise<void> {
  const name = plainName(toText(root));
  found.folders.push(root);
  const isWanted = await takesUntracked(reader, below);
  const listed = isWanted ? splitRecords(await reader.filesIn(below, root.slice(below.length))) : [];
  const files = listed.filter((path) => !path.endsWith("/")); // a folder is a repository in it
  for (const path of files) found.files.add(below + path);
  found.notes.push(
    files.length === 0
      ? `the submodule ${name} is empty here: it was never fetched (git submodule update --init)`
      : `the submodule ${name} is not fetched here (git submodule update --init): of its folder, sandboxes have the ${files.length} files that lie there`,
  );
  if (files.length < listed.length)
    found.notes.push(`repositories in the submodule ${name}, which is not fetched here, were left out`);
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

/** Adds the empty folders at and below `folder`, and names those that the user may not read. */
async function findEmpty(reader: TreeReader, folder: string, into: Set<string>, found: Listed): Promise<void> {
  const names = await listFolder(reader.absolute(folder)).catch(codeOf);
  if (names === "ENOENT") return; // removed since git listed it
  if (names.length === 0) into.add(folder.slice(0, -1));
  try {
    for await (const entry of walkFolder(reader.absolute(folder.slice(0, -1)), WALK)) {
      const path = entry.path === "" ? folder.slice(0, -1) : folder + entry.path;
      if (entry.kind === "folder" && entry.isEmpty) into.add(path);
      else if (entry.kind === "closed" && !entry.why.includes("ENOENT")) found.closed.add(path);
    }
  } catch (error) {
    if (!(error instanceof WalkLimitError)) throw error;
    found.notes.push(`some empty folders in ${plainName(toText(folder))} were left out: ${error.message}`);
  }
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? "unknown error";

const WALK = { entries: 1_000_000, depth: 500 };

const isEmpty = async (reader: TreeReader, folder: string): Promise<boolean> =>
  (await listFolder(reader.absolute(folder)).catch(() => null))?.length === 0; // an unreadable folder is not known to be empty

const listNames = (paths: readonly string[]): string => nameList(paths.map(toText));
