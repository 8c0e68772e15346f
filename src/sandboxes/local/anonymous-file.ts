import { closeSync, openSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomId } from "../../shared/ids.ts";

/** Folders for what is to have a name only for a moment; in memory where possible, since it may hold secrets. */
export const MOMENTARY_FOLDERS: readonly string[] = ["/dev/shm", tmpdir()];

/**
 * A descriptor of a nameless file with this content, to be handed to a child, which finds it at the start. Not a pipe:
 * Bun (1.3.14) closes pipes beyond descriptor 2 twice, and the second time whatever has the number by then, which might
 * be a namespace.
 */
export function openAnonymousFile(content: Uint8Array): number {
  const fd = openNameless();
  try {
    // At explicit positions: the child shares the offset.
    for (let at = 0; at < content.length; ) at += writeSync(fd, content, at, content.length - at, at);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

export function withAnonymousFiles<T>(contents: readonly Uint8Array[], use: (fds: readonly number[]) => T): T {
  const fds: number[] = [];
  try {
    for (const content of contents) fds.push(openAnonymousFile(content));
    return use(fds);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

function openNameless(): number {
  let failure: unknown;
  for (const folder of MOMENTARY_FOLDERS) {
    const path = join(folder, randomId("opa"));
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
