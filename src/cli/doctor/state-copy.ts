import { copyFileSync, existsSync, lstatSync, mkdirSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Clock } from "../../shared/clock.ts";
import { sleep } from "../../shared/clock.ts";

/*
 * State files are looked into in a copy: opening one makes files beside it, brings it up to date, and sets it aside when it
 * is damaged.
 */

const TRIES = 5;
const PAUSE_MS = 50;

/**
 * Copies a database and what SQLite keeps beside it, at a moment at which nobody writes.
 * @returns whether there was such a moment, and the file is a file
 */
export async function copyDatabase(file: string, to: string, clock: Clock): Promise<boolean> {
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  const parts = ["", "-wal"];
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const before = parts.map((part) => stampOf(file + part));
    if (before[0] === null) return false;
    parts.forEach((part, at) => {
      if (before[at] !== null) copyFileSync(file + part, to + part);
      else if (existsSync(to + part)) writeFileSync(to + part, "");
    });
    if (parts.every((part, at) => stampOf(file + part) === before[at])) return true;
    await sleep(clock, PAUSE_MS);
  }
  return false;
}

/** Changes when a file is written; null where there is none, or a link or folder in its place. */
function stampOf(path: string): string | null {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isFile() ? `${found.ino}:${found.size}:${found.mtimeMs}` : null;
}

/** Names of state files that were set aside as damaged, with their folder. */
export async function filesAside(stateDir: string): Promise<string[]> {
  const folders = ["", "sessions", "projects"].map((name) => join(stateDir, name));
  const lists = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(folder).catch(() => []);
      return names
        .filter((name) => /\.damaged-[^/]*$/.test(name) && !/-(wal|shm)$/.test(name))
        .map((name) => join(folder, name));
    }),
  );
  return lists.flat();
}

/** The databases in a folder of the state, the newest first. */
export async function databasesIn(folder: string): Promise<{ readonly file: string; readonly bytes: number }[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((name) => name.endsWith(".db"))
    .flatMap((name) => {
      const found = lstatSync(join(folder, name), { throwIfNoEntry: false });
      return found?.isFile()
        ? [{ file: join(folder, basename(name)), bytes: found.size, changedAt: found.mtimeMs }]
        : [];
    })
    .sort((a, b) => b.changedAt - a.changedAt);
}
