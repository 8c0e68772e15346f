import { lstatSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { isProcessDead } from "../../shared/is-process-dead.ts";
import { readPrivateFile } from "../../shared/private-files.ts";

const MARK = ".damaged-";

/** Pause between two looks at the lock; whoever holds it renames three files. */
const PAUSE_MS = 20;
const LONGEST_WAIT_MS = 2_000;

/**
 * Renames a damaged database and the files that SQLite wrote beside it, so that a new database can take its place.
 * @param inode of the damaged file: another process may have replaced it meanwhile
 * @returns the new path; null if the file has been replaced
 */
export function setAside(file: string, inode: number, now: number): string | null {
  const lock = `${file}.lock`;
  takeLock(lock);
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
function takeLock(lock: string): void {
  for (let waited = 0; ; waited += PAUSE_MS) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx", mode: 0o600 });
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== "EEXIST" || waited > LONGEST_WAIT_MS) throw error;
    }
    const holder = Number(readPrivateFile(lock));
    if (holder > 0 && isProcessDead(holder)) rmSync(lock, { force: true });
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
  }
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
