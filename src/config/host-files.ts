import { constants } from "node:fs";
import { access, open, realpath } from "node:fs/promises";

/** The file system operations that reading options needs. They reject like `node:fs/promises`. */
export interface HostFiles {
  /** All bytes of a regular file. @throws RefusedFile for anything else, and for a file that is too large */
  read(path: string): Promise<Uint8Array>;
  /** The path with links resolved. */
  realpath(path: string): Promise<string>;
  exists(path: string): Promise<boolean>;
}

/** Something that exists and is not read as a file of options. The message completes "found …". */
export class RefusedFile extends Error {}

const MAX_BYTES = 1024 * 1024;

export const hostFiles: HostFiles = {
  async read(path) {
    // Non-blocking, so that a pipe in a project does not make opening the project hang.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!(await file.stat()).isFile()) throw new RefusedFile("something that is not a file");
      const bytes = Buffer.alloc(MAX_BYTES + 1);
      let length = 0;
      for (;;) {
        const { bytesRead } = await file.read(bytes, length, bytes.length - length, length);
        length += bytesRead;
        if (length > MAX_BYTES) throw new RefusedFile(`a file of more than ${MAX_BYTES / 1024} KiB`);
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
