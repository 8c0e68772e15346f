import { lstatSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { readPrivateFile } from "../../shared/private-files.ts";
import { isNotAlive, toProcessName } from "../../shared/process-identity.ts";

const MARK = ".damaged-";

/** Pause between two looks at the lock; whoever holds it renames three files. */
const PAUSE_MS = 20;
const LONGEST_WAIT_MS = 5_000;
/** A lock older than this was left behind, even where its process cannot be judged from here. */
const LONGEST_HELD_MS = 3_000;
/** An empty file younger than this is another process's, which is about to write it. */
const NEW_MS = 2_000;

/**
 * Renames a damaged database and the files that SQLite wrote beside it, so that a new database can take its place.
 * @param inode of the damaged file: another process may have replaced it meanwhile
 * @returns the new path; null if the file has been replaced
 */
export function setAside(file: string, inode: number, now: number): string | null {
  const lock = `${file}.lock`;
  takeLock(lock, now);
  try {
    if (inodeOf(file) !== inode) return null;
    const time = new Date(now).toISOString().replace(/:/g, "-");
    let aside = `${file}${MARK}${time}`;
    for (let count = 2; inodeOf(aside) !== null; count++) aside = `${file}${MARK}${time}-${count}`;
    // Before the database: a log that is left behind would be applied to the next one.
    for (const suffix of ["-wal", "-shm"])
      if (inodeOf(file + suffix) !== null) renameSync(file + suffix, aside + suffix);
    renameSync(file, aside);
    return aside;
  } finally {
    rmSync(lock, { force: true });
  }
}

/** Without the lock, a second process could rename the new file that the first one has just made. */
function takeLock(lock: string, now: number): void {
  for (let waited = 0; ; waited += PAUSE_MS) {
    try {
      writeFileSync(lock, toProcessName("lock"), { flag: "wx", mode: 0o600 });
      return;
    } catch (error) {
      if (!["EEXIST", "EISDIR"].includes((error as { code?: string }).code ?? "") || waited > LONGEST_WAIT_MS)
        throw error;
    }
    if (isLeft(lock, now + waited)) renameSync(lock, `${lock}.left-${now}-${process.pid}`);
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
  }
}

/** Whether the lock's process has died. Whoever holds it renames three files and makes no folder. */
function isLeft(lock: string, now: number): boolean {
  const found = lstatSync(lock, { throwIfNoEntry: false });
  if (!found) return false;
  const holder = readPrivateFile(lock) ?? "";
  return !found.isFile() || now - found.mtimeMs > LONGEST_HELD_MS || (holder !== "" && isNotAlive(holder));
}

/** The inode of what lies in the place of a file and is neither a file nor a link; null if nothing is in the way. */
export function findObstacle(path: string): number | null {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found || found.isFile() || found.isSymbolicLink()) return null;
  return found.uid === (process.geteuid?.() ?? found.uid) ? found.ino : null;
}

/** Whether a file that once was a database is empty. One that was only just made is empty for a moment. */
export function isEmptied(file: string, now: number): boolean {
  const found = lstatSync(file, { throwIfNoEntry: false });
  return found?.size === 0 && found.birthtimeMs > 0 && now - found.birthtimeMs > NEW_MS;
}

/** When a file of this name was last set aside, epoch ms; null = never, or the file set aside has been removed. */
export function lastSetAside(file: string): number | null {
  const times = namesAside(file).map((name) => timeOf(name.slice(basename(file).length + MARK.length)));
  return times.length === 0 ? null : Math.max(...times);
}

/** Absolute paths of everything that was set aside from this file. */
export const allAside = (file: string): string[] => namesAside(file).map((name) => join(dirname(file), name));

function namesAside(file: string): string[] {
  try {
    return readdirSync(dirname(file)).filter((name) => name.startsWith(`${basename(file)}${MARK}`));
  } catch {
    return []; // there is no folder
  }
}

/** Reads `2026-11-26T15-50-00.000Z…`. What cannot be read counts as the far future, so that sandboxes are kept. */
function timeOf(text: string): number {
  const [, date, hours, minutes, seconds] = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3}Z)/.exec(text) ?? [];
  const time = Date.parse(`${date}T${hours}:${minutes}:${seconds}`);
  return Number.isNaN(time) ? Number.MAX_SAFE_INTEGER : time;
}

export const inodeOf = (path: string): number | null => lstatSync(path, { throwIfNoEntry: false })?.ino ?? null;
