import {
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { PluginError } from "./error-code.ts";
import { randomId } from "./ids.ts";

/*
 * Files and folders of the state. O1: they are the user's alone, whatever his umask and whoever made them. O2: the state
 * directory itself may be a link of the user's, say to a larger disk; below it no link is followed: what is made, read
 * or removed through one would lie elsewhere.
 */

/**
 * Makes a folder where there is none, and sees that it is one of ours.
 * @throws PluginError `config_invalid`; what `node:fs` throws
 */
export function ensurePrivateFolder(path: string, { mayBeLink = false }: { readonly mayBeLink?: boolean } = {}): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  claim(path, mayBeLink ? statSync(path) : lstatSync(path), "folder", 0o700);
}

/**
 * Makes sure that a file belongs to this user alone and is no link; creates it, empty, where it is missing. An existing file
 * is not opened: a process that closes a second descriptor of a database loses its locks on it.
 * @throws PluginError `config_invalid`; what `node:fs` throws
 */
export function ensurePrivateFile(path: string): void {
  const { O_CREAT, O_EXCL, O_WRONLY } = constants;
  try {
    closeSync(openSync(path, O_CREAT | O_EXCL | O_WRONLY, 0o600)); // EXCL follows no link
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
  makeFilePrivate(path);
}

/** Makes sure that a file, if there is one, belongs to this user alone and is no link. */
export function makeFilePrivate(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found) claim(path, found, "file", 0o600);
}

/** Whether there is a folder of that name, and no link to one. */
export const isRealFolder = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** Refuses a folder that is a link, or something else; one that is not there is fine. @throws PluginError `config_invalid` */
export function refuseLinkedFolder(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found && !found.isDirectory()) throw refused(path, wrongKind(found, "folder"));
}

/** Text of a file of ours; null where there is none. Neither a link nor a pipe in its place is followed or waited for. */
export function readPrivateFile(path: string): string | null {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) return null;
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const chunks: Buffer[] = [];
    for (;;) {
      const chunk = Buffer.alloc(64 * 1024);
      const length = readSync(file, chunk);
      if (length === 0) return Buffer.concat(chunks).toString("utf8");
      chunks.push(chunk.subarray(0, length));
    }
  } finally {
    closeSync(file);
  }
}

/** Writes a file of ours at once and whole, in place of whatever is there. */
export function writePrivateFile(path: string, text: string): void {
  const half = `${path}.${randomId("new")}`;
  writeFileSync(half, text, { flag: "wx", mode: 0o600 });
  renameSync(half, path);
}

function claim(path: string, found: Stats, kind: "file" | "folder", mode: number): void {
  if (kind === "file" ? !found.isFile() : !found.isDirectory()) throw refused(path, wrongKind(found, kind));
  const user = process.geteuid?.();
  if (user === undefined) return; // a system without such owners and modes
  if (found.uid !== user) throw refused(path, `it belongs to another user (${found.uid}, you are ${user})`);
  if ((found.mode & 0o077) === 0) return;
  chmodSync(path, mode);
  if ((statSync(path).mode & 0o077) !== 0)
    throw refused(path, "others can read it, and its file system lets nobody change that");
}

const wrongKind = (found: Stats, kind: string): string =>
  found.isSymbolicLink() ? "it is a link, and links there are not followed" : `it is no ${kind}`;

const refused = (path: string, why: string) =>
  new PluginError(
    "config_invalid",
    `Could not use ${path} for the state: ${why}. Move it away, or set "stateDir" to another folder.`,
    { retryable: false },
  );

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;
