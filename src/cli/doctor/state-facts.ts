import { accessSync, constants, lstatSync, type Stats, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { openPoolStore, type PoolStore } from "../../jobs/store/pool-store.ts";
import { openSessionStore } from "../../jobs/store/session-store.ts";
import { readFreeSpace, readReserve, shortage } from "../../sandboxes/local/free-disk-space.ts";
import { hostFreeMiB } from "../../sandboxes/local/local-limits.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { copyDatabase, databasesIn, filesAside } from "./state-copy.ts";

/** The state directory itself. */
export interface FolderFacts {
  readonly path: string;
  /** `absent`: it is made by the first job. */
  readonly kind: "absent" | "folder" | "other";
  /** Of the folder, or of the nearest one around it that exists. */
  readonly mode: number;
  /** Whether it belongs to another user. */
  readonly isForeign: boolean;
  /** Why it cannot be written, as the system says it; null = it can. */
  readonly refusal: string | null;
}

/** A state file, by what opening it comes to. */
export interface FileFacts {
  readonly file: string;
  readonly kind: "damaged" | "unusable";
  /** What the store says; empty for a damaged one. */
  readonly message: string;
}

export interface StateFacts {
  readonly folder: FolderFacts;
  /** What is short on its disk; null = enough is free. */
  readonly shortage: string | null;
  readonly freeMiB: number;
  readonly bad: readonly FileFacts[];
  /** Files that were set aside as damaged before. */
  readonly aside: readonly string[];
  readonly sessions: number;
  /** How many session files were looked into, the newest first. */
  readonly lookedInto: number;
}

/** Session files beyond these are counted only. */
const MOST_SESSIONS = 50;
const MOST_BYTES = 64 * 1024 * 1024;

/** @param hasSqlite whether this runtime can look into the files */
export async function readState(
  stateDir: string,
  scratch: string,
  clock: Clock,
  hasSqlite: boolean,
): Promise<StateFacts> {
  const folder = readFolder(stateDir);
  const at = nearest(stateDir);
  const free = await readFreeSpace(at);
  const short = shortage(free, await readReserve(at, hostFreeMiB()));
  const facts = { folder, shortage: short, freeMiB: Math.floor(free.bytes / 1024 ** 2) };
  const nothing = { ...facts, bad: [], aside: [], sessions: 0, lookedInto: 0 };
  if (folder.kind !== "folder" || folder.isForeign) return nothing;
  if (!hasSqlite) {
    const sessions = (await databasesIn(join(stateDir, "sessions"))).length;
    return { ...nothing, aside: await filesAside(stateDir), sessions };
  }
  const bad: FileFacts[] = [];
  const look = async (file: string, open: (copy: string) => Promise<Pick<PoolStore, "damaged" | "close">>) => {
    const copy = join(scratch, "looked-into", basename(dirname(file)), basename(file));
    const found = obstacleAt(file) ?? (await lookInto(file, copy, clock, open));
    if (found !== null) bad.push(found);
  };
  await look(join(stateDir, "pool.db"), (copy) => openPoolStore(dirname(copy), clock));
  const sessions = await databasesIn(join(stateDir, "sessions"));
  let lookedInto = 0;
  let bytes = 0;
  for (const session of sessions.slice(0, MOST_SESSIONS)) {
    bytes += session.bytes;
    if (bytes > MOST_BYTES) break;
    await look(session.file, (copy) => openSessionStore(copy, clock));
    lookedInto++;
  }
  return { ...facts, bad, aside: await filesAside(stateDir), sessions: sessions.length, lookedInto };
}

/** What lies in the place of a database and is none, whatever is in it. */
function obstacleAt(file: string): FileFacts | null {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined) return null;
  // A new one is empty for a moment.
  if (found.isFile()) return found.size === 0 ? { file, kind: "damaged", message: "" } : null;
  const what = found.isSymbolicLink() ? "a link, and links there are not followed" : "not a file";
  return { file, kind: "unusable", message: `The state file ${file} is ${what}.` };
}

async function lookInto(
  file: string,
  copy: string,
  clock: Clock,
  open: (copy: string) => Promise<Pick<PoolStore, "damaged" | "close">>,
): Promise<FileFacts | null> {
  try {
    if (!(await copyDatabase(file, copy, clock))) return null;
    const store = await open(copy);
    const isDamaged = store.damaged().length > 0;
    store.close();
    return isDamaged ? { file, kind: "damaged", message: "" } : null;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const what = error instanceof PluginError ? message : `The state file ${file} cannot be read: ${message}.`;
    return { file, kind: "unusable", message: what.replaceAll(copy, file) };
  }
}

export function readFolder(stateDir: string, user: number | undefined = process.geteuid?.()): FolderFacts {
  const found = statSync(stateDir, { throwIfNoEntry: false });
  const stats: Stats = found ?? statSync(nearest(stateDir));
  const isForeign = found !== undefined && user !== undefined && found.uid !== user;
  return {
    path: stateDir,
    kind: found?.isDirectory() ? "folder" : lstatSync(stateDir, { throwIfNoEntry: false }) ? "other" : "absent",
    mode: stats.mode & 0o777,
    isForeign,
    refusal: refusalOf(nearest(stateDir)),
  };
}

function refusalOf(folder: string): string | null {
  try {
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** The folder, or the nearest one around it that exists. */
function nearest(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (statSync(at, { throwIfNoEntry: false }) !== undefined || at === dirname(at)) return at;
  }
}
