import { posix } from "node:path";
import { PluginError } from "../../shared/error-code.ts";
import { gitFolders } from "../git-folders.ts";
import { formatSize, fromText, isSafePath, toText } from "../paths.ts";
import type { ListedFile } from "../sandbox/list-files.ts";
import { isInstruction } from "./auto-loaded-files.ts";
import { parseGlob } from "./glob.ts";

/** Which of a job's files are to be collected. */
export interface FileRequest {
  /** Paths to search; "" = the whole work directory. */
  readonly roots: readonly string[];
  readonly patterns: readonly {
    /** As the caller wrote it; "" where there is nothing to report about it. */
    readonly name: string;
    matches(path: string): boolean;
    /** Whether the pattern is exactly this path, no wildcard involved. */
    isNamed(path: string): boolean;
  }[];
  /** Where its caller can ask for fewer files, in his words. */
  readonly what: string;
}

export interface FileLimits {
  readonly files: number;
  /** All files together. */
  readonly bytes: number;
  /** The largest single file. */
  readonly fileBytes: number;
}

export interface LeftOut {
  readonly path: string;
  readonly why: string;
  /** null = unknown. */
  readonly bytes: number | null;
}

export interface Selection {
  readonly files: readonly ListedFile[];
  readonly links: readonly ListedFile[];
  readonly leftOut: readonly LeftOut[];
  /** Patterns that matched nothing. */
  readonly unmatched: readonly string[];
}

export const FILE_LIMITS: FileLimits = { files: 20_000, bytes: 2 * 1024 ** 3, fileBytes: 1024 ** 3 };

const PATHS = "paths of agents_collect";
const MAX_ROOTS = 500;
const SHOWN = 5;

/**
 * Parses patterns as a model writes them: relative to the work directory, or absolute and inside it; "/" is all of it. A pattern also
 * matches the file that is called exactly like it, wildcard characters included.
 * @param what they are, in the words of whoever wrote them
 * @throws PluginError `invalid_task`
 */
export function parsePatterns(texts: readonly string[], workdir: string, what = PATHS): FileRequest {
  const refused = (why: string) => new PluginError("invalid_task", `Bad ${what}: ${why}.`, { retryable: false });
  const patterns = texts.map((name) => {
    const path = (name !== "/" && posix.relative(workdir, posix.resolve(workdir, name))) || "**";
    if (!isSafePath(fromText(path)))
      throw refused(`"${name}" is not in the job's work directory ${workdir}, or in a .git, which is never collected`);
    if (/\{[^{}]*,[^{}]*\}/.test(path))
      throw refused(`"${name}" has alternatives in braces, which patterns here lack; list a pattern for each of them`);
    const literal = fromText(path);
    const glob = parseGlob(path);
    const root = fromText(glob.root);
    const matches = (one: string) => isAt(one, root) && (isAt(one, literal) || glob.matches(toText(one))); // most paths lie elsewhere
    return { name, matches, isNamed: (one: string) => one === literal, root };
  });
  const roots = new Set(patterns.map(({ root }) => root));
  return { patterns, roots: roots.has("") || roots.size > MAX_ROOTS ? [""] : [...roots], what };
}

/** A request for exactly these paths; those that are missing go unreported. */
export function exactPaths(paths: readonly string[]): FileRequest {
  const all = new Set(paths);
  return {
    roots: paths.length > MAX_ROOTS || paths.some((path) => toText(path) !== path) ? [""] : paths,
    patterns: [{ name: "", matches: (path) => all.has(path), isNamed: () => false }],
    what: PATHS,
  };
}

/**
 * Sorts a sandbox's files into those to collect and those to leave out. A file that agents would read as instructions is
 * only collected if a pattern names it exactly.
 * @param isInstructionAtTarget whether agents would read the file as instructions at the place it will be written to
 * @throws PluginError `collect_failed` when the selection exceeds the limits: nothing has been written then
 */
export function selectFiles(
  listed: readonly ListedFile[],
  { patterns, what }: FileRequest,
  limits: FileLimits,
  isInstructionAtTarget: (path: string) => boolean = isInstruction,
): Selection {
  const isMatched = patterns.map(() => false);
  const selected = { files: [] as ListedFile[], links: [] as ListedFile[], leftOut: [] as LeftOut[] };
  const repositories = gitFolders(listed.map(({ path }) => path));
  const holding = new Set<string>();
  for (const file of listed) {
    // A folder that cannot be read is always reported: it may hold what a pattern asks for.
    let isWanted = file.kind === "closed" || file.kind === "long";
    for (const [n, pattern] of patterns.entries()) {
      if (!pattern.matches(file.path)) continue;
      isWanted = true;
      isMatched[n] = true;
    }
    if (!isWanted) continue;
    const repository = repositories.find((one) => file.path === one || file.path.startsWith(`${one}/`));
    if (repository !== undefined) {
      holding.add(repository);
      continue;
    }
    const isWithheld = isInstructionAtTarget(file.path) && !patterns.some(({ isNamed }) => isNamed(file.path));
    const why = isWithheld
      ? "agents would take it for instructions; name it in paths to have it"
      : whyNot(file, limits);
    if (why !== null) selected.leftOut.push({ path: file.path, why, bytes: file.kind === "file" ? file.bytes : null });
    else selected[file.kind === "link" ? "links" : "files"].push(file);
  }
  for (const path of holding) selected.leftOut.push({ path, why: BARE_REPOSITORY, bytes: null });
  if (!isWithin(limits, selected.files, selected.links)) throw tooMuch(limits, selected, what);
  return { ...selected, unmatched: patterns.flatMap(({ name }, n) => (isMatched[n] || name === "" ? [] : [name])) };
}

const BARE_REPOSITORY =
  "it is a repository, whose settings can make git run programs; have the job pack it into an archive";

/** Why one file is left out that is larger than any may be. */
export const tooLarge = ({ fileBytes }: Pick<FileLimits, "fileBytes">): string =>
  `it is larger than ${formatSize(fileBytes)}`;

function whyNot(file: ListedFile, limits: FileLimits): string | null {
  if (file.kind !== "long" && !isSafePath(file.path)) return "some file system takes its name for another place";
  if (file.kind === "closed") return "it is a folder that the job itself has no permission to read";
  if (file.kind === "long") return "paths below it are too long";
  if (file.kind === "other") return "it is a pipe, socket or device";
  if (file.kind === "link" && !staysWithin(file.path, file.to)) return "it is a link that may lead elsewhere";
  return file.bytes > limits.fileBytes ? tooLarge(limits) : null;
}

/**
 * Whether a link leads to a place inside the folder that is written. `..` is accepted only at the beginning of its target:
 * after a name, which may itself be a link, `..` could lead anywhere.
 */
export function staysWithin(path: string, to: string): boolean {
  const parts = to.replace(/^(\.\/)+|\/+$/g, "").split("/");
  const ups = parts.findIndex((part) => part !== "..");
  const down = ups < 0 ? [] : parts.slice(ups);
  const depth = path.split("/").length - 1;
  return (ups < 0 ? parts.length : ups) <= depth && (down.length === 0 || isSafePath(down.join("/")));
}

/** Whether a path is this place or lies below it. @param place "" = the folder that holds all */
export const isAt = (path: string, place: string): boolean =>
  place === "" || path === place || path.startsWith(`${place}/`);

/** Bytes of all together. */
export const sizeOf = (files: readonly ListedFile[]): number => files.reduce((sum, { bytes }) => sum + bytes, 0);

/** Whether so many and so large files may be collected at a time. */
export const isWithin = (limits: FileLimits, files: readonly ListedFile[], links: readonly ListedFile[]): boolean =>
  files.length + links.length <= limits.files && sizeOf(files) <= limits.bytes;

function tooMuch(limits: FileLimits, { files, links }: Pick<Selection, "files" | "links">, what: string): PluginError {
  const largest = [...files].sort((a, b) => b.bytes - a.bytes).slice(0, SHOWN);
  const names = largest.map((file) => `${JSON.stringify(toText(file.path))} (${formatSize(file.bytes)})`).join(", ");
  const most = `${limits.files} files and ${formatSize(limits.bytes)}`;
  return new PluginError(
    "collect_failed",
    `Could not collect ${files.length + links.length} files of ${formatSize(sizeOf(files))}: at most ${most} at a time. The largest are ${names}. Name fewer in ${what}.`,
    { retryable: false },
  );
}
