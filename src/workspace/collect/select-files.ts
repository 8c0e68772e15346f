import { posix } from "node:path";
import { PluginError } from "../../shared/error-code.ts";
import { formatSize, fromText, isSafePath, toText } from "../paths.ts";
import type { ListedFile } from "../sandbox/list-files.ts";
import { isInstruction } from "./auto-loaded-files.ts";
import { type Glob, parseGlob } from "./glob.ts";

/** Which of a job's files are wanted. */
export interface FileRequest {
  /** Where they may be. */
  readonly roots: readonly string[];
  /** As they were asked for, to say of each that nothing is there. */
  readonly asked: readonly {
    readonly name: string;
    matches(path: string): boolean;
    /** Whether this very file was named. */
    isNamed(path: string): boolean;
  }[];
}

export interface FileLimits {
  readonly files: number;
  /** Of all files together. */
  readonly bytes: number;
  /** Of one. */
  readonly fileBytes: number;
}

export interface LeftOut {
  readonly path: string;
  readonly why: string;
  /** null when it is not known. */
  readonly bytes: number | null;
}

export interface Selection {
  readonly files: readonly ListedFile[];
  readonly links: readonly ListedFile[];
  readonly leftOut: readonly LeftOut[];
  /** What was asked for and is not there. */
  readonly unmatched: readonly string[];
}

export const FILE_LIMITS: FileLimits = { files: 20_000, bytes: 2 * 1024 ** 3, fileBytes: 1024 ** 3 };

const MAX_ROOTS = 500;
const SHOWN = 5;

/**
 * Patterns as a user writes them: relative to the work directory, or absolute and in it. A path that is there is itself,
 * whatever signs it has.
 * @throws PluginError `invalid_task`
 */
export function parsePatterns(patterns: readonly string[], workdir: string): FileRequest {
  const asked = patterns.map((name) => {
    const path = posix.relative(workdir, posix.resolve(workdir, name)) || "**";
    if (!isSafePath(fromText(path)))
      throw refused(`"${name}" is not in the job's work directory ${workdir}, or in a .git, which is never taken`);
    const literal = fromText(path);
    const glob = tryGlob(path);
    const matches = (one: string) => one === literal || one.startsWith(`${literal}/`) || glob.matches(toText(one));
    return { name, matches, isNamed: (one: string) => one === literal, root: fromText(glob.root) };
  });
  const roots = new Set(asked.map(({ root }) => root));
  return { asked, roots: roots.has("") || roots.size > MAX_ROOTS ? [""] : [...roots] };
}

/** Exactly these. */
export function exactPaths(paths: readonly string[]): FileRequest {
  const all = new Set(paths);
  return {
    roots: paths.length > MAX_ROOTS || paths.some((path) => toText(path) !== path) ? [""] : paths,
    asked: [{ name: "", matches: (path) => all.has(path), isNamed: () => false }],
  };
}

/**
 * @param isObeyed whether agents take a file for instructions where it will lie: such a one is only taken by its name
 * @throws PluginError `collect_failed` when it is more than the limits allow: nothing is written then
 */
export function selectFiles(
  listed: readonly ListedFile[],
  { asked }: FileRequest,
  limits: FileLimits,
  isObeyed: (path: string) => boolean = isInstruction,
): Selection {
  const isMatched = asked.map(() => false);
  const chosen = { files: [] as ListedFile[], links: [] as ListedFile[], leftOut: [] as LeftOut[] };
  for (const file of listed) {
    // What may be in it is not known; it lies where something was asked for.
    let isWanted = file.kind === "closed" || file.kind === "long";
    for (const [n, one] of asked.entries()) {
      if (!one.matches(file.path)) continue;
      isWanted = true;
      isMatched[n] = true;
    }
    if (!isWanted) continue;
    const isHeld = isObeyed(file.path) && !asked.some(({ isNamed }) => isNamed(file.path));
    const why = isHeld ? "agents would take it for instructions; name it in paths to have it" : whyNot(file, limits);
    if (why !== null) chosen.leftOut.push({ path: file.path, why, bytes: file.kind === "file" ? file.bytes : null });
    else chosen[file.kind === "link" ? "links" : "files"].push(file);
  }
  checkTotal(chosen.files, chosen.links.length, limits);
  return { ...chosen, unmatched: asked.flatMap(({ name }, n) => (isMatched[n] || name === "" ? [] : [name])) };
}

function whyNot(file: ListedFile, limits: FileLimits): string | null {
  if (file.kind !== "long" && !isSafePath(file.path)) return "some file system takes its name for another place";
  if (file.kind === "closed") return "it is a folder that the job's own modes keep from being read";
  if (file.kind === "long") return "it is the way to paths that are too long";
  if (file.kind === "other") return "it is a pipe, socket or device";
  if (file.kind === "link" && !staysWithin(file.path, file.to)) return "it is a link that may lead elsewhere";
  return file.bytes > limits.fileBytes ? `it is larger than ${formatSize(limits.fileBytes)}` : null;
}

/**
 * Whether a link leads to a place in the folder that is written. Ways up are only taken at its beginning: behind the
 * name of another link they would mean another place than they seem to.
 */
export function staysWithin(path: string, to: string): boolean {
  const parts = to.replace(/^(\.\/)+|\/+$/g, "").split("/");
  const ups = parts.findIndex((part) => part !== "..");
  const down = ups < 0 ? [] : parts.slice(ups);
  const depth = path.split("/").length - 1;
  return (ups < 0 ? parts.length : ups) <= depth && (down.length === 0 || isSafePath(down.join("/")));
}

function checkTotal(files: readonly ListedFile[], links: number, limits: FileLimits): void {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const count = files.length + links;
  if (count <= limits.files && bytes <= limits.bytes) return;
  const largest = [...files].sort((a, b) => b.bytes - a.bytes).slice(0, SHOWN);
  const names = largest.map((file) => `${JSON.stringify(toText(file.path))} (${formatSize(file.bytes)})`).join(", ");
  const most = `${limits.files} files and ${formatSize(limits.bytes)}`;
  throw new PluginError(
    "collect_failed",
    `Could not collect ${count} files of ${formatSize(bytes)}: at most ${most} at a time. The largest are ${names}. Name fewer in paths.`,
    { retryable: false },
  );
}

function tryGlob(path: string): Glob {
  try {
    return parseGlob(path);
  } catch (error) {
    throw refused((error as Error).message);
  }
}

const refused = (why: string) =>
  new PluginError("invalid_task", `Bad paths of agents_collect: ${why}.`, { retryable: false });
