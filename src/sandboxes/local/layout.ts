import { readdirSync } from "node:fs";
import { mkdir, readdir, rename, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { PluginError } from "../../shared/error-code.ts";
import { isProcessDead } from "../../shared/is-process-dead.ts";
import { ensurePrivateFolder, isRealFolder, readPrivateFile, refuseLinkedFolder } from "../../shared/private-files.ts";
import type { NetworkPolicy } from "../port.ts";

/*
 * Where local sandboxes live on disk. L1: an id becomes a path only after its pattern matched. L2: a directory under its
 * final name is complete; what is half made has a name that starts with a dot and
 * says which process makes it. L3: no link below the root is followed; what is no folder is none of ours.
 */

const KINDS = ["sandboxes", "snapshots"] as const;

/** Makes what sandboxes and snapshots lie in (L3). @throws PluginError `config_invalid` */
export function makePlaces(rootDir: string): void {
  for (const path of [rootDir, ...KINDS.map((kind) => join(rootDir, kind))]) ensurePrivateFolder(path);
}

/** The folder of all sandboxes, or of all snapshots, for reading (L3). @throws PluginError `config_invalid` */
export function placeOf(rootDir: string, kind: (typeof KINDS)[number]): string {
  const place = join(rootDir, kind);
  for (const path of [rootDir, place]) refuseLinkedFolder(path);
  return place;
}

export const PARTS = ["workspace", "home", "tmp", "logs"] as const;
export type Part = (typeof PARTS)[number];

export interface SandboxDirs extends Readonly<Record<Part, string>> {
  readonly root: string;
}

/** What outlives the process. Values of environment variables do not: they may be secrets. */
export interface SandboxMeta {
  readonly id: string;
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly memoryMiB: number | null;
  readonly diskMiB: number;
  /** Absent in those of former versions. */
  readonly files?: number;
  readonly network: NetworkPolicy;
  readonly createdAt: number;
}

export interface SnapshotMeta {
  readonly id: string;
  /** The frozen directory's path in the sandbox; null = all of it. */
  readonly path: string | null;
  readonly createdAt: number;
  /** The process that took it, and records it next. */
  readonly pid: number;
}

const SANDBOX_ID = /^sbx_[A-Za-z0-9_-]{1,64}$/;
const SNAPSHOT_ID = /^snap_[A-Za-z0-9_-]{1,64}$/;

export const isSandboxID = (id: string): boolean => SANDBOX_ID.test(id);
export const isSnapshotID = (id: string): boolean => SNAPSHOT_ID.test(id);

export function sandboxDirs(rootDir: string, id: string): SandboxDirs {
  if (!isSandboxID(id))
    throw new PluginError("sandbox_lost", `No sandbox has the id ${JSON.stringify(id)}.`, { retryable: false });
  return dirsAt(join(placeOf(rootDir, "sandboxes"), id));
}

export function snapshotDir(rootDir: string, id: string): string {
  if (!isSnapshotID(id))
    throw new PluginError("not_found", `No snapshot has the id ${JSON.stringify(id)}.`, { retryable: false });
  return join(placeOf(rootDir, "snapshots"), id);
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

/** Whether all of it is there, and there itself: what a link leads to would be shown to the job as its own (L3). */
export const isWhole = (dirs: SandboxDirs): boolean =>
  [dirs.root, ...PARTS.map((part) => dirs[part])].every(isRealFolder) &&
  !readdirSync(dirs.root, { withFileTypes: true }).some((entry) => entry.isSymbolicLink());

/** Makes `root` with its parts under a temporary name, lets `fill` complete it, then gives it its name (L2). */
export async function makeWhole(
  root: string,
  meta: SandboxMeta | SnapshotMeta,
  fill: (dirs: SandboxDirs) => Promise<void>,
): Promise<void> {
  const half = halfNameOf(root);
  await mkdir(dirname(root), { recursive: true, mode: 0o700 });
  await mkdir(half, { mode: 0o700 }); // not what lies there already
  const dirs = dirsAt(half);
  for (const part of PARTS) await mkdir(dirs[part], { mode: 0o700 });
  await writeFile(join(half, "meta.json"), JSON.stringify(meta), { mode: 0o600 });
  await fill(dirs);
  await rename(half, root);
}

export const halfNameOf = (root: string): string =>
  join(root, "..", `.${root.slice(root.lastIndexOf("/") + 1)}.${process.pid}.half`);

/** Takes its name from what is about to be removed (L2): a removal that its process does not survive is an abandoned half. */
export async function unname(root: string): Promise<string> {
  await rename(root, halfNameOf(root)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error; // removed by another call, or never made
  });
  return halfNameOf(root);
}

/** Absolute paths of what processes that died left half made. */
export async function abandonedHalves(rootDir: string): Promise<string[]> {
  const isAbandoned = (name: string) => {
    const maker = /^\..+\.(\d+)\.half$/.exec(name)?.[1];
    return maker !== undefined && isProcessDead(Number(maker));
  };
  const found = await Promise.all(
    KINDS.map(async (kind) => {
      const folder = placeOf(rootDir, kind);
      return (await listIDs(folder, isAbandoned)).map((name) => join(folder, name));
    }),
  );
  return found.flat();
}

/** null where there is none, `damaged` where it is no record of that kind. */
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

/** Names of folders; links to such are none of ours (L3). */
export async function listIDs(folder: string, matches: (id: string) => boolean): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory() && matches(entry.name)).map(({ name }) => name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
