import { constants, type Stats } from "node:fs";
import { type FileHandle, lstat, open, readdir, readlink, realpath, stat } from "node:fs/promises";
import { fromText, toBytes, toText } from "./paths.ts";

/*
 * The one way through folders of the host whose files go to a sandbox. F1: a link is an entry, never a way: what is
 * found lies in the folder itself. F2: only plain files are opened, and without waiting: a pipe would block, a device
 * does something. F3: what is read is what was found, at the place where it was found: a file or a folder that was
 * exchanged for a link meanwhile is not read. F4: number, depth and size are bounded. Paths are one character a byte.
 */

export interface WalkLimits {
  readonly entries: number;
  /** Folders one in another. */
  readonly depth: number;
}

export type FolderEntry =
  | { readonly kind: "file"; readonly path: string; readonly bytes: number; readonly isExecutable: boolean }
  | { readonly kind: "folder"; readonly path: string; readonly isEmpty: boolean }
  | { readonly kind: "link" | "special"; readonly path: string }
  /** `why` in words, after "it". */
  | { readonly kind: "closed"; readonly path: string; readonly why: string };

/** More than the limits allow. */
export class WalkLimitError extends Error {
  override readonly name = "WalkLimitError";
}

/**
 * Everything below a folder, each folder before what is in it; `.git` in any folder is passed over.
 * @param root absolute, as bytes; itself no link, or one that is meant to be followed
 * @throws WalkLimitError
 */
export async function* walkFolder(root: Buffer, limits: WalkLimits): AsyncGenerator<FolderEntry> {
  let count = 0;
  // Not by recursion: generators in generators cost as much as they are deep.
  const waiting: string[] = [""];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const names = await namesIn(placeIn(root, folder)).catch(codeOf);
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
      const found = await lstat(placeIn(root, path)).catch(codeOf);
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
 * A file that was found below `root`.
 * @param root absolute and without links in it
 * @returns its bytes, or in words, after "it", why they cannot be had
 */
export async function readFound(root: string, path: string, maxBytes: number): Promise<Buffer | string> {
  const place = placeIn(Buffer.from(root), path);
  const file = await open(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(codeOf);
  if (typeof file === "string") return file === "ELOOP" ? "became a link meanwhile" : `could not be opened (${file})`;
  try {
    const found = await file.stat();
    if (!found.isFile()) return "is no plain file any more";
    if (!(await isAt(file, found, place))) return "was moved meanwhile, or is reached through a link";
    const bytes = await readUpTo(file, maxBytes + 1);
    return bytes.length > maxBytes ? "grew meanwhile" : bytes;
  } catch (error) {
    return `could not be read (${codeOf(error)})`;
  } finally {
    await file.close();
  }
}

/**
 * A link that leads to a plain file below the same folder stands for that file.
 * @returns the file's own path, or in words, after "it", why there is none
 */
export async function resolveLink(root: string, path: string): Promise<{ readonly path: string } | string> {
  const target = await realpath(placeIn(Buffer.from(root), path), { encoding: "buffer" }).catch(() => null);
  const real = target === null ? null : Buffer.from(target).toString("latin1");
  if (real === null) return "is a link that leads nowhere";
  const top = fromText(root === "/" ? "" : root);
  if (!real.startsWith(`${top}/`)) return "is a link that leads out of the folder";
  const inside = real.slice(top.length + 1);
  if (inside.split("/").includes(".git")) return "is a link into a repository";
  const found = await lstat(placeIn(Buffer.from(root), inside)).catch(() => null);
  return found?.isFile() ? { path: inside } : "is a link to a folder or to something special";
}

/**
 * F3. Linux says where an open file lies; elsewhere the place is looked at again.
 * @param place without links in it, but for those that this is to find
 */
async function isAt(file: FileHandle, found: Stats, place: Buffer): Promise<boolean> {
  const lies = await readlink(`/proc/self/fd/${file.fd}`, { encoding: "buffer" }).catch(() => null);
  if (lies !== null) return Buffer.from(lies).equals(place);
  if (!Buffer.from(await realpath(place, { encoding: "buffer" })).equals(place)) return false;
  const there = await stat(place);
  return there.dev === found.dev && there.ino === found.ino;
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

/** In order. */
export async function namesIn(folder: Buffer): Promise<string[]> {
  // Bun 1.3 gives bare `Uint8Array`s here, and together with `withFileTypes` no names at all.
  const names = await readdir(folder, { encoding: "buffer" });
  return names.map((name) => Buffer.from(name).toString("latin1")).sort();
}

const placeIn = (root: Buffer, path: string): Buffer =>
  path === "" ? root : Buffer.concat([root, Buffer.from(root.at(-1) === 0x2f ? "" : "/"), toBytes(path)]);

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? "unknown error";

/** Whether a name is text: others cannot be written to every sandbox. */
export const isUtf8 = (path: string): boolean => fromText(toText(path)) === path;
