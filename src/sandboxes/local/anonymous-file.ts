import { randomUUID } from "node:crypto";
import { closeSync, openSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * A descriptor of a nameless file with this content, to be handed to a child. Not a pipe: Bun (1.3.14) closes pipes
 * beyond descriptor 2 twice, and the second time whatever has the number by then, which might be a namespace.
 */
export function withAnonymousFile<T>(content: string, use: (fd: number) => T): T {
  const fd = openNameless();
  try {
    const bytes = Buffer.from(content);
    // At explicit positions: the child shares the offset and must find it at the start.
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, at);
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

function openNameless(): number {
  let failure: unknown;
  // In memory where possible: the content may hold secrets.
  for (const folder of ["/dev/shm", tmpdir()]) {
    const path = join(folder, `opa-${randomUUID()}`);
    try {
      const fd = openSync(path, "wx+", 0o600);
      unlinkSync(path);
      return fd;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
