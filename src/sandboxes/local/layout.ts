import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { PluginError } from "../../shared/error-code.ts";
import { isProcessDead } from "../../shared/is-process-dead.ts";
import { isMissing } from "../../shared/missing-file.ts";
import { ensurePrivateFolder, isRealFolder, readPrivateFile, refuseLinkedFolder } from "../../shared/private-files.ts";
import type { ListedSandbox, NetworkPolicy } from "../port.ts";

/*
 * Where local sandboxes live on disk. L1: an id becomes a path only after it has matched its pattern. L2: a directory
 * under its final name is complete. One that is being made or removed has a temporary name, which starts with a dot and
 * contains the pid of the process at work. L3: no link below the root is followed, and only real folders count as ours.
 */

const KINDS = ["sandboxes", "snapshots"] as const;

/** Makes the folders that sandboxes and snapshots lie in (L3). @throws PluginError `config_invalid` */
export function makeFolders(rootDir: string): void {
  for (const path of [rootDir, ...KINDS.map((kind) => join(rootDir, kind))]) ensurePrivateFolder(path);
}

/** The folder of all sandboxes, or of all snapshots, for reading (L3). @throws PluginError `config_invalid` */
export function folderOf(rootDir: string, kind: (typeof KINDS)[number]): string {
  const folder = join(rootDir, kind);
  for (const path of [rootDir, folder]) refuseLinkedFolder(path);
  return folder;
}

export const PARTS = ["workspace", "home", "tmp", "logs"] as const;
export type Part = (typeof PARTS)[number];

export interface SandboxDirs extends Readonly<Record<Part, string>> {
  readonly root: string;
}

/** The record of a sandbox on disk. Holds no values of environment variables, because they may be secrets. */
export interface SandboxMeta {
  readonly id: string;
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly memoryMiB: number | null;
  readonly diskMiB: number;
  /** Absent in records that earlier versions wrote. */
  readonly files?: number;
  readonly network: NetworkPolicy;
  /** Epoch ms. */
  readonly createdAt: number;
}

export interface SnapshotMeta {
  readonly id: string;
  /** Path in the sandbox of the frozen directory; null = the whole file system. */
  readonly path: string | null;
  /** Epoch ms. */
  readonly createdAt: number;
  /** Process that took it and is about to record it in the state. */
  readonly pid: number;
}

const SANDBOX_ID = /^sbx_[A-Za-z0-9_-]{1,64}$/;
const SNAPSHOT_ID = /^snap_[A-Za-z0-9_-]{1,64}$/;

export const isSandboxID = (id: string): boolean => SANDBOX_ID.test(id);
export const isSnapshotID = (id: string): boolean => SNAPSHOT_ID.test(id);

export function sandboxDirs(rootDir: string, id: string): SandboxDirs {
  if (!isSandboxID(id))
    throw new PluginError("sandbox_lost", `No sandbox has the id ${JSON.stringify(id)}.`, { retryable: false });
  return dirsAt(join(folderOf(rootDir, "sandboxes"), id));
}

export function snapshotDir(rootDir: string, id: string): string {
  if (!isSnapshotID(id))
    throw new PluginError("not_found", `No snapshot has the id ${JSON.stringify(id)}.`, { retryable: false });
  return join(folderOf(rootDir, "snapshots"), id);
}

export function dirsAt(root: string): SandboxDirs {
  return {
    root,
    workspace: join(root, "workspace"),
    home: join(root, "home"),
    tmp: join(root, "tmp"),
    logs: join(root, "logs"),
  };
}

/** Whether every part exists as a real folder. The job would be shown the target of a link as its own files (L3). */
export const isComplete = (dirs: SandboxDirs): boolean =>
  [dirs.root, ...PARTS.map((part) => dirs[part])].every(isRealFolder) &&
  !readdirSync(dirs.root, { withFileTypes: true }).some((entry) => entry.isSymbolicLink());

/**
 * Makes `root` with its parts under a temporary name, lets `fill` complete it, then gives it its final name (L2).
 * @param undo what `fill` did beside that, where the final name cannot be given
 * @returns what `fill` returned
 */
export async function createAtomically<T>(
  root: string,
  meta: SandboxMeta | SnapshotMeta,
  fill: (dirs: SandboxDirs) => Promise<T>,
  undo: (filled: T) => Promise<void> = async () => {},
): Promise<T> {
  const temporary = temporaryPathOf(root);
  mkdirSync(dirname(root), { recursive: true, mode: 0o700 });
  mkdirSync(temporary, { mode: 0o700 }); // fails if something is there already
  const dirs = dirsAt(temporary);
  for (const part of PARTS) mkdirSync(dirs[part], { mode: 0o700 });
  writeMeta(temporary, meta);
  const filled = await fill(dirs);
  try {
    renameSync(temporary, root);
  } catch (error) {
    await undo(filled);
    throw error;
  }
  return filled;
}

// Synchronous, like the folders above: handing each of them to another thread takes several times as long.
export const writeMeta = (root: string, meta: SandboxMeta | SnapshotMeta): void =>
  writeFileSync(join(root, "meta.json"), JSON.stringify(meta), { mode: 0o600 });

/** Replaces the record of a sandbox, at no moment of which it has none. */
export function replaceMeta(root: string, meta: SandboxMeta): void {
  const next = join(root, "meta.json.next");
  rmSync(next, { force: true });
  writeFileSync(next, JSON.stringify(meta), { mode: 0o600, flag: "wx" });
  renameSync(next, join(root, "meta.json"));
}

export const temporaryPathOf = (root: string): string =>
  join(root, "..", `.${root.slice(root.lastIndexOf("/") + 1)}.${process.pid}.half`);

/**
 * Gives a directory that is about to be removed its temporary name (L2), so that a removal its process does not survive
 * is finished by another process. @returns the temporary path
 */
export function moveAside(root: string): string {
  try {
    renameSync(root, temporaryPathOf(root));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error; // another call removed it, or it never existed
  }
  return temporaryPathOf(root);
}

/** Absolute paths of the temporary directories of processes that have died. */
export async function abandonedDirectories(rootDir: string): Promise<string[]> {
  const isAbandoned = (name: string) => {
    const maker = /^\..+\.(\d+)\.half$/.exec(name)?.[1];
    return maker !== undefined && isProcessDead(Number(maker));
  };
  const found = await Promise.all(
    KINDS.map(async (kind) => {
      const folder = folderOf(rootDir, kind);
      return (await listIDs(folder, isAbandoned)).map((name) => join(folder, name));
    }),
  );
  return found.flat();
}

/** Reads `meta.json`. @returns null where there is none, `damaged` where it is not a record of this directory */
export function readMeta<T extends SandboxMeta | SnapshotMeta>(root: string): T | "damaged" | null {
  if (!isRealFolder(root)) return null;
  try {
    const text = readPrivateFile(join(root, "meta.json"));
    if (text === null) return null;
    const meta = JSON.parse(text) as Record<string, unknown> | null;
    const isRecord = meta?.id === basename(root) && typeof meta.createdAt === "number";
    return isRecord ? (meta as unknown as T) : "damaged";
  } catch {
    return "damaged"; // also a link or a folder in its place
  }
}

/** Names of the real folders in `folder` that match (L3); empty where `folder` does not exist. */
export async function listIDs(folder: string, matches: (id: string) => boolean): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory() && matches(entry.name)).map(({ name }) => name);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** The sandboxes on disk, live or not. @param onDamaged is told of those whose record cannot be read */
export async function listSandboxes(
  rootDir: string,
  onDamaged: (id: string, folder: string) => void,
): Promise<ListedSandbox[]> {
  const folder = folderOf(rootDir, "sandboxes");
  return (await listIDs(folder, isSandboxID)).flatMap((id): ListedSandbox[] => {
    const meta = readMeta<SandboxMeta>(join(folder, id));
    if (meta === null) return [];
    if (meta !== "damaged") return [{ id, tags: meta.tags ?? {}, createdAt: meta.createdAt }];
    onDamaged(id, folder);
    return [{ id, tags: {}, createdAt: null }];
  });
}
