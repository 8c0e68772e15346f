import { posix } from "node:path";

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
