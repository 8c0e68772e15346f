import { lstatSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { isProcessDead } from "../../shared/is-process-dead.ts";
import { readPrivateFile } from "../../shared/private-files.ts";

const MARK = ".damaged-";

/** What waits for another process to set a file aside: it renames three files. */
const PAUSE_MS = 20;
const LONGEST_WAIT_MS = 2_000;

/**
 * Gives a damaged database another name, so that a new one can take its place; with it goes what SQLite wrote beside it.
 * @param inode of the file that was found damaged: another process may have set it aside meanwhile
 * @returns the new path; null when the file is another one by now
 */
export function setAside(file: string, inode: number, now: number): string | null {
  const lock = `${file}.lock`;
  takeLock(lock);
  try {
    if (inodeOf(file) !== inode) return null;
    const time = new Date(now).toISOString().replace(/:/g, "-");
    let aside = `${file}${MARK}${time}`;
    for (let count = 2; inodeOf(aside) !== null; count++) aside = `${file}${MARK}${time}-${count}`;
    // First, for a log that outlives its database would be played into the next one.
    for (const suffix of ["-wal", "-shm"])
      if (inodeOf(file + suffix) !== null) renameSync(file + suffix, aside + suffix);
    renameSync(file, aside);
    return aside;
  } finally {
    rmSync(lock, { force: true });
  }
}

/** Without it a second process could take the new file, which the first has just made, for the one it found damaged. */
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

/** When a file of this name was last found damaged, epoch ms; null = never, or what was set aside is gone. */
export function lastSetAside(file: string): number | null {
  const times = namesAside(file).map((name) => timeOf(name.slice(basename(file).length + MARK.length)));
  return times.length === 0 ? null : Math.max(...times);
}

/** Absolute paths of all that was set aside of a file. */
export const allAside = (file: string): string[] => namesAside(file).map((name) => join(dirname(file), name));

function namesAside(file: string): string[] {
  try {
    return readdirSync(dirname(file)).filter((name) => name.startsWith(`${basename(file)}${MARK}`));
  } catch {
    return []; // no folder, and nothing in it
  }
}

/** `2026-11-26T15-50-00.000Z`, and perhaps more. One that nobody can read counts as of now on: it keeps, not loses. */
function timeOf(text: string): number {
  const [, date, hours, minutes, seconds] = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3}Z)/.exec(text) ?? [];
  const time = Date.parse(`${date}T${hours}:${minutes}:${seconds}`);
  return Number.isNaN(time) ? Number.MAX_SAFE_INTEGER : time;
}

export const inodeOf = (path: string): number | null => lstatSync(path, { throwIfNoEntry: false })?.ino ?? null;
