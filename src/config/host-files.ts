import { constants } from "node:fs";
import { access, open, realpath } from "node:fs/promises";

/** The little that reading options needs of the file system. Rejects as `node:fs/promises` does. */
export interface HostFiles {
  /** All bytes of a plain file. @throws RefusedFile for anything else */
  read(path: string): Promise<Uint8Array>;
  /** Where a path leads, links followed. */
  realpath(path: string): Promise<string>;
  exists(path: string): Promise<boolean>;
}

/** A file that is there and is not read. The message completes "found …". */
export class RefusedFile extends Error {}

/** No file of options comes near it. */
const LONGEST_BYTES = 1024 * 1024;

export const hostFiles: HostFiles = {
  async read(path) {
    // Not to wait for the other end of a pipe: opening a project must not hang on what lies in it.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!(await file.stat()).isFile()) throw new RefusedFile("something that is no file");
      const bytes = Buffer.alloc(LONGEST_BYTES + 1);
      let length = 0;
      for (;;) {
        const { bytesRead } = await file.read(bytes, length, bytes.length - length, length);
        length += bytesRead;
        if (length > LONGEST_BYTES) throw new RefusedFile(`a file of more than ${LONGEST_BYTES / 1024} KiB`);
        if (bytesRead === 0) return bytes.subarray(0, length);
      }
    } finally {
      await file.close();
    }
  },
  realpath: (path) => realpath(path),
  exists: (path) =>
    access(path).then(
      () => true,
      () => false,
    ),
};
