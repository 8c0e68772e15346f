import { posix } from "node:path";

/** A snapshot as Modal knows it: an image, of a whole file system or of the directory that was at `path`. */
export interface ModalSnapshotID {
  readonly imageID: string;
  readonly path: string | null;
}

const ID = /^(im-[0-9A-Za-z_-]+)(?::(\/.*))?$/s;

/** `im-…`, or `im-…:/path`: where a directory belongs must be known wherever its id is. */
export const formatSnapshotID = ({ imageID, path }: ModalSnapshotID): string =>
  path === null ? imageID : `${imageID}:${path}`;

/** null when `text` is no snapshot of Modal's. */
export function parseSnapshotID(text: string): ModalSnapshotID | null {
  const [, imageID, path] = ID.exec(text) ?? [];
  return imageID === undefined ? null : { imageID, path: path ?? null };
}

const OF_THE_IMAGE = [
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

/** Whether a directory can be put back into a sandbox of another image without breaking it. */
export const isOwnDirectory = (path: string): boolean =>
  path !== "/" && posix.isAbsolute(path) && !OF_THE_IMAGE.some((each) => path === each || path.startsWith(`${each}/`));
