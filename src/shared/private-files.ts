import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { PluginError } from "./error-code.ts";
import { randomId } from "./ids.ts";

/*
 * Files and folders of the durable state.
 * O1: only the user can access them, whatever the umask was and whoever created them.
 * O2: the state directory itself may be a link, for example to a larger disk. No link below it is followed, because what is
 *     created, read or removed through one would lie elsewhere.
 */

/**
 * Creates a folder if it is missing, and makes sure that it belongs to this user alone.
 * @param mayBeLink whether a link to a folder is accepted
 * @throws PluginError `config_invalid`; what `node:fs` throws
 */
export function ensurePrivateFolder(path: string, { mayBeLink = false }: { readonly mayBeLink?: boolean } = {}): void {
  makeFolder(path);
  makePrivate(path, mayBeLink ? statSync(path) : lstatSync(path), "folder", 0o700);
}

/** With its parents. Node's own `recursive` never returns in file systems that refuse a new folder with ENOENT, such as /proc. */
function makeFolder(path: string): void {
  if (isFolder(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!isFolder(path)) throw error; // or another process has made it meanwhile
  }
}

const isFolder = (path: string): boolean => existsSync(path) && statSync(path).isDirectory();

/**
 * Creates an empty file if it is missing, and makes sure that it belongs to this user alone and is not a link. An existing
 * file is not opened, because a process that closes a second descriptor of a database loses its locks on it.
 * @throws PluginError `config_invalid`; what `node:fs` throws
 */
export function ensurePrivateFile(path: string): void {
  const { O_CREAT, O_EXCL, O_WRONLY } = constants;
  try {
    closeSync(openSync(path, O_CREAT | O_EXCL | O_WRONLY, 0o600)); // O_EXCL does not follow a link
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
  makeFilePrivate(path);
}

/** Makes sure that a file, if it exists, belongs to this user alone and is not a link. @throws PluginError `config_invalid` */
export function makeFilePrivate(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found) makePrivate(path, found, "file", 0o600);
}

/** Whether a folder, and not a link to one, lies at the path. */
export const isRealFolder = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** Accepts a folder, or nothing at all, at the path. @throws PluginError `config_invalid` for a link or anything else */
export function refuseLinkedFolder(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found && !found.isDirectory()) throw refused(path, wrongKind(found, "folder"));
}

/** Text of a private file; null where there is no regular file. A link is not followed, and a pipe is not waited for. */
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

/** Writes a private file atomically, in place of whatever lies at the path. */
export function writePrivateFile(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.${randomId("new")}`;
  writeFileSync(temporary, content, { flag: "wx", mode: 0o600 });
  renameSync(temporary, path);
}

/** Refuses what is not of the given kind or not this user's, and takes away everyone else's access. */
function makePrivate(path: string, found: Stats, kind: "file" | "folder", mode: number): void {
  if (kind === "file" ? !found.isFile() : !found.isDirectory()) throw refused(path, wrongKind(found, kind));
  const user = process.geteuid?.();
  if (user === undefined) return; // Windows has no such owners and modes
  if (found.uid !== user) throw refused(path, `it belongs to another user (${found.uid}, you are ${user})`);
  if ((found.mode & 0o077) === 0) return;
  chmodSync(path, mode);
  if ((statSync(path).mode & 0o077) !== 0)
    throw refused(path, "others can access it, and its file system does not allow changing that");
}

const wrongKind = (found: Stats, kind: string): string =>
  found.isSymbolicLink() ? "it is a link, and links there are not followed" : `it is not a ${kind}`;

const refused = (path: string, why: string) =>
  new PluginError(
    "config_invalid",
    `Could not use ${path} for the state: ${why}. Move it away, or set "stateDir" to another folder.`,
    { retryable: false },
  );

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;
