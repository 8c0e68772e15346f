import { createHash } from "node:crypto";

/*
 * Names of files are bytes. Inside this folder a path is a string with one character for each byte, relative and with
 * slashes, so that a name that is not UTF-8 goes in and comes back as it is.
 */

export const toBytes = (path: string): Buffer => Buffer.from(path, "latin1");

export const fromText = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

/** For people. */
export const toText = (path: string): string => toBytes(path).toString("utf8");

/** Absolute places, as bytes, of paths below `root`. */
export const absoluteIn =
  (root: string) =>
  (path: string): Buffer =>
    Buffer.concat([Buffer.from(`${root}/`), toBytes(path)]);

/** The records of output that ends each with NUL. */
export function splitRecords(output: Buffer): string[] {
  const records = output.toString("latin1").split("\0");
  records.pop();
  return records;
}

export const joinRecords = (paths: Iterable<string>): Buffer => {
  const all = [...paths];
  return all.length === 0 ? Buffer.alloc(0) : toBytes(`${all.join("\0")}\0`);
};

/** A name for what belongs to `text`, safe in file names. */
export const fileNameFor = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);

export const formatSize = (bytes: number): string =>
  bytes < 1024 ** 2 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;

/**
 * Whether a stranger's path may be written below a folder of ours: relative, no way up, and no name that some file
 * system takes for `.git`.
 */
export function isSafePath(path: string): boolean {
  if (path === "" || path.includes("\0")) return false;
  return path.split("/").every((part) => !["", ".", ".."].includes(part) && !looksLikeGit(part));
}

/** HFS+ ignores some characters, NTFS trailing dots, spaces and streams; both ignore case, and NTFS knows short names. */
function looksLikeGit(part: string): boolean {
  const plain = toText(part)
    .replace(/[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g, "")
    .toLowerCase()
    .replace(/:.*$/, "")
    .replace(/[. ]+$/, "");
  return plain === ".git" || /^git~\d+$/.test(plain);
}
