import { createHash } from "node:crypto";

/*
 * File names are bytes, not text. In this folder a path is a string with one character per byte, relative and with
 * slashes, so that a name that is not UTF-8 enters and leaves a sandbox unchanged.
 */

export const toBytes = (path: string): Buffer => Buffer.from(path, "latin1");

export const fromText = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

/** A path for people to read; bytes that are not UTF-8 become U+FFFD. */
export const toText = (path: string): string => toBytes(path).toString("utf8");

/** Turns paths relative to `root` into absolute ones, as bytes. */
export const absoluteIn =
  (root: string) =>
  (path: string): Buffer =>
    Buffer.concat([Buffer.from(`${root}/`), toBytes(path)]);

/** The records of NUL-terminated output. */
export function splitRecords(output: Buffer): string[] {
  const records = output.toString("latin1").split("\0");
  records.pop();
  return records;
}

/** Paths as NUL-terminated records. */
export const joinRecords = (paths: readonly string[]): Buffer => toBytes(paths.map((path) => `${path}\0`).join(""));

/** A short name derived from `text`, safe as a file name and always the same. */
export const fileNameFor = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);

export function formatSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} byte${bytes === 1 ? "" : "s"}`;
  return bytes < 1024 ** 2 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

/**
 * Whether a path that a job chose may be written below a folder of ours: relative, without `..`, and without a name that
 * some file system takes for `.git`.
 */
export function isSafePath(path: string): boolean {
  if (path === "" || path.includes("\0")) return false;
  return path.split("/").every((part) => !["", ".", ".."].includes(part) && !looksLikeGit(part));
}

/** HFS+ ignores some invisible characters; NTFS ignores trailing dots and spaces and a stream's name, and has short names; both ignore case. */
function looksLikeGit(part: string): boolean {
  const plain = toText(part)
    .replace(/[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g, "")
    .toLowerCase()
    .replace(/:.*$/, "")
    .replace(/[. ]+$/, "");
  return plain === ".git" || /^git~\d+$/.test(plain);
}

/** The folders above a path, the outermost first, each with a trailing slash. */
export function foldersAbove(path: string): string[] {
  const folders: string[] = [];
  for (let at = path.indexOf("/"); at >= 0 && at < path.length - 1; at = path.indexOf("/", at + 1))
    folders.push(path.slice(0, at + 1));
  return folders;
}
