import { closeSync, constants, openSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomId } from "../../shared/ids.ts";

/** Folders for files that have a name only for a moment. In memory where possible, because the files may hold secrets. */
export const TEMPORARY_FOLDERS: readonly string[] = ["/dev/shm", tmpdir()];

/**
 * Opens a nameless file with this content for a child process, which reads it from the beginning. Not a pipe, because Bun
 * (1.3.14) closes pipes beyond descriptor 2 twice; by the second time the number may belong to another file, such as a
 * namespace. @returns the descriptor, which the caller closes
 * @throws Error naming every folder in which there was no place for it
 */
export function openAnonymousFile(content: Uint8Array, folders: readonly string[] = TEMPORARY_FOLDERS): number {
  const reasons: string[] = [];
  for (const folder of folders) {
    try {
      return openIn(folder, content);
    } catch (error) {
      reasons.push(`${folder}: ${(error as Error).message}`);
    }
  }
  throw new Error(`no temporary file could be made (${reasons.join("; ")})`);
}

function openIn(folder: string, content: Uint8Array): number {
  const path = join(folder, randomId("opa"));
  const fd = openSync(path, "wx+", 0o600);
  try {
    unlinkSync(path);
    // At explicit positions, because the child shares the offset.
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

/** Opens existing files for writing, for a program that is started with them. @throws Error what `openSync` throws */
export function withOpenFiles<T>(paths: readonly string[], use: (fds: readonly number[]) => T): T {
  const fds: number[] = [];
  try {
    for (const path of paths) fds.push(openSync(path, constants.O_WRONLY));
    return use(fds);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}
