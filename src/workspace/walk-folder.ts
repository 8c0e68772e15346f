import { constants, type Stats } from "node:fs";
import { type FileHandle, lstat, open, readdir, readlink, realpath, stat } from "node:fs/promises";
import { lstatOrNull, nullIfMissing } from "../shared/missing-file.ts";
import { fromText, toBytes, toText } from "./paths.ts";

/*
 * Walks host folders whose files are copied to a sandbox; the only place that does.
 * F1: links are reported and never followed, so everything found lies in the folder itself.
 * F2: only regular files are opened, and without blocking: opening a pipe can block, opening a device can have effects.
 * F3: a file is read only if it still is the file that was found, where it was found: if it or a folder above it has been
 *     replaced by a link, it is not read.
 * F4: number, depth and size are bounded.
 * Paths have one character per byte (paths.ts).
 */

export interface WalkLimits {
  /** Files and folders in total. */
  readonly entries: number;
  /** Levels of folders. */
  readonly depth: number;
}

export type FolderEntry =
  | { readonly kind: "file"; readonly path: string; readonly bytes: number; readonly isExecutable: boolean }
  | { readonly kind: "folder"; readonly path: string; readonly isEmpty: boolean }
  | { readonly kind: "link" | "special"; readonly path: string }
  /** Could not be read; `why` continues a sentence that begins with "it". */
  | { readonly kind: "closed"; readonly path: string; readonly why: string };

/** The folder exceeds the limits of the walk. */
export class WalkLimitError extends Error {
  override readonly name = "WalkLimitError";
}

/** What is removed while it is found is not there. */
const GONE = "ENOENT";

/**
 * Yields everything below a folder, each folder before its content. `.git` is skipped at every level.
 * @param root absolute, as bytes; a link is followed
 * @throws WalkLimitError
 */
export async function* walkFolder(root: Buffer, limits: WalkLimits): AsyncGenerator<FolderEntry> {
  let count = 0;
  // A stack, not recursion: each entry of a nested generator would pass through all generators above it.
  const waiting: string[] = [""];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const names = await listFolder(absoluteAt(root, folder)).catch(codeOf);
    if (names === GONE && folder !== "") continue;
    if (typeof names === "string") {
      yield { kind: "closed", path: folder, why: `could not be read (${names})` };
      continue;
    }
    count += names.length;
    if (count > limits.entries) throw new WalkLimitError(`it holds more than ${limits.entries} files and folders`);
    const isTooDeep = folder.split("/").length >= limits.depth;
    if (folder !== "") yield { kind: "folder", path: folder, isEmpty: names.length === 0 };
    const inner: string[] = [];
    for (const name of names) {
      if (name === ".git") continue;
      const path = folder === "" ? name : `${folder}/${name}`;
      const found = await lstat(absoluteAt(root, path)).catch(codeOf);
      if (found === GONE) continue;
      if (typeof found === "string") yield { kind: "closed", path, why: `could not be looked at (${found})` };
      else if (!found.isDirectory()) yield entryOf(path, found);
      else if (isTooDeep) yield { kind: "closed", path, why: `lies more than ${limits.depth} folders deep` };
      else inner.push(path);
    }
    waiting.push(...inner.reverse());
  }
}

function entryOf(path: string, found: Stats): FolderEntry {
  if (found.isSymbolicLink()) return { kind: "link", path };
  if (!found.isFile()) return { kind: "special", path }; // F2
  return { kind: "file", path, bytes: found.size, isExecutable: (found.mode & 0o100) !== 0 };
}

/**
 * Reads a file that the walk found below `root`.
 * @param root absolute, links resolved
 * @returns its bytes, or why it cannot be read, as the rest of a sentence that begins with "it"
 */
export async function readFound(root: string, path: string, maxBytes: number): Promise<Buffer | string> {
  const place = absoluteAt(Buffer.from(root), path);
  const file = await open(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(codeOf);
  if (typeof file === "string") return file === "ELOOP" ? "was replaced by a link" : `could not be opened (${file})`;
  try {
    const found = await file.stat();
    if (!found.isFile()) return "is no longer a regular file";
    if (!(await isAt(file, found, place))) return "was moved, or is reached through a link";
    const bytes = await readUpTo(file, maxBytes + 1);
    return bytes.length > maxBytes ? "grew while it was read" : bytes;
  } catch (error) {
    return `could not be read (${codeOf(error)})`;
  } finally {
    await file.close();
  }
}

/**
 * Resolves a link that leads to a regular file below the same folder.
 * @param root absolute, links resolved
 * @returns the file's path, or why there is none, as the rest of a sentence that begins with "it"
 */
export async function resolveLink(root: string, path: string): Promise<{ readonly path: string } | string> {
  const target = await realpath(absoluteAt(Buffer.from(root), path), { encoding: "buffer" }).catch(() => null);
  if (target === null) return "is a link that leads nowhere"; // or in circles, or to where the user himself may not look
  const real = Buffer.from(target).toString("latin1");
  const top = fromText(root === "/" ? "" : root);
  if (!real.startsWith(`${top}/`)) return "is a link that leads out of the folder";
  const inside = real.slice(top.length + 1);
  if (inside.split("/").includes(".git")) return "is a link into a repository";
  const found = await lstatOrNull(absoluteAt(Buffer.from(root), inside));
  return found?.isFile() ? { path: inside } : "is a link to a folder or to something special";
}

/**
 * Whether an open file lies at `place` (F3). Linux tells the path of an open file; elsewhere the path is looked up again.
 * @param place absolute; it has links only if one was put there since the walk
 */
async function isAt(file: FileHandle, found: Stats, place: Buffer): Promise<boolean> {
  const actual = await nullIfMissing(readlink(`/proc/self/fd/${file.fd}`, { encoding: "buffer" }));
  if (actual !== null) return Buffer.from(actual).equals(place);
  if (!Buffer.from(await realpath(place, { encoding: "buffer" })).equals(place)) return false;
  const atPlace = await stat(place);
  return atPlace.dev === found.dev && atPlace.ino === found.ino;
}

async function readUpTo(file: FileHandle, most: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let left = most; left > 0; ) {
    const piece = Buffer.allocUnsafe(Math.min(left, 1024 * 1024));
    const { bytesRead } = await file.read(piece, 0, piece.length);
    if (bytesRead === 0) break;
    parts.push(piece.subarray(0, bytesRead));
    left -= bytesRead;
  }
  return Buffer.concat(parts);
}

/** Names in a folder, sorted. */
export async function listFolder(folder: Buffer): Promise<string[]> {
  // Bun 1.3 returns plain `Uint8Array`s here, and with `withFileTypes` no names at all.
  const names = await readdir(folder, { encoding: "buffer" });
  return names.map((name) => Buffer.from(name).toString("latin1")).sort();
}

const absoluteAt = (root: Buffer, path: string): Buffer =>
  path === "" ? root : Buffer.concat([root, Buffer.from(root.at(-1) === 0x2f ? "" : "/"), toBytes(path)]);

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? "unknown error";

/** Whether a path is valid UTF-8. Other names cannot be written to every sandbox. */
export const isUtf8 = (path: string): boolean => fromText(toText(path)) === path;
