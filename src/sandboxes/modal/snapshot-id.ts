import { posix } from "node:path";
import type { MachineSpec } from "../port.ts";

/** A snapshot at Modal: an image of a whole file system, or of the directory at `path`. */
export interface ModalSnapshotID {
  readonly imageID: string;
  readonly path: string | null;
}

const ID = /^(im-[0-9A-Za-z_-]+)(?::(\/.*))?$/s;

/** `im-…`, or `im-…:/path` for a directory, so that its path is known wherever the id is. */
export const formatSnapshotID = ({ imageID, path }: ModalSnapshotID): string =>
  path === null ? imageID : `${imageID}:${path}`;

/** @returns null when `text` is not the id of a Modal snapshot */
export function parseSnapshotID(text: string): ModalSnapshotID | null {
  const [, imageID, path] = ID.exec(text) ?? [];
  return imageID === undefined ? null : { imageID, path: path ?? null };
}

const TAR_ID = /^tar-(\d+)-[0-9A-Za-z_-]+$/;

/** The id of a directory that is kept as a tar on this machine. @param pid of the process that made it */
export const formatTarID = (pid: number, unique: string): string => `tar-${pid}-${unique}`;

/** @returns null when `text` is not the id of a tar */
export function parseTarID(text: string): { readonly pid: number } | null {
  const [, pid] = TAR_ID.exec(text) ?? [];
  return pid === undefined ? null : { pid: Number(pid) };
}

const IMAGE_DIRECTORIES = [
  "/bin",
  "/boot",
  "/dev",
  "/etc",
  "/lib",
  "/lib32",
  "/lib64",
  "/proc",
  "/run",
  "/sbin",
  "/sys",
  "/usr",
  "/var",
  "/__modal",
];

/** Whether a directory can be restored into a sandbox of another image without breaking it. */
export const isOwnDirectory = (path: string): boolean =>
  path !== "/" &&
  posix.isAbsolute(path) &&
  !IMAGE_DIRECTORIES.some((each) => path === each || path.startsWith(`${each}/`));

/** Whether a volume or bucket is mounted at a directory or below it: what is there is not the sandbox's own. */
export const hasMountsBelow = (machine: MachineSpec | undefined, path: string): boolean =>
  Object.keys({ ...machine?.volumes, ...machine?.buckets }).some(
    (mount) => mount === path || mount.startsWith(`${path}/`),
  );
