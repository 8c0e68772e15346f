import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LabError } from "../../shared/error-code.ts";
import { isProcessDead } from "../../shared/process-alive.ts";
import type { NetworkPolicy } from "../port.ts";

/*
 * Where local sandboxes live on disk. L1: an id becomes a path only after its pattern matched. L2: a directory under its
 * final name is complete; what is half made has a name that starts with a dot and
 * says which process makes it.
 */

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
    throw new LabError("sandbox_lost", `No sandbox has the id ${JSON.stringify(id)}.`, { retryable: false });
  return dirsAt(join(rootDir, "sandboxes", id));
}

export function snapshotDir(rootDir: string, id: string): string {
  if (!isSnapshotID(id))
    throw new LabError("not_found", `No snapshot has the id ${JSON.stringify(id)}.`, { retryable: false });
  return join(rootDir, "snapshots", id);
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

/** Makes `root` with its parts under a temporary name, lets `fill` complete it, then gives it its name (L2). */
export async function makeWhole(
  root: string,
  meta: SandboxMeta | SnapshotMeta,
  fill: (dirs: SandboxDirs) => Promise<void>,
): Promise<void> {
  const half = halfNameOf(root);
  await mkdir(half, { recursive: true, mode: 0o700 });
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
    ["sandboxes", "snapshots"].map(async (kind) => {
      const folder = join(rootDir, kind);
      return (await listIDs(folder, isAbandoned)).map((name) => join(folder, name));
    }),
  );
  return found.flat();
}

export async function readMeta<T extends SandboxMeta | SnapshotMeta>(root: string): Promise<T | null> {
  try {
    return JSON.parse(await readFile(join(root, "meta.json"), "utf8")) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

export async function listIDs(folder: string, matches: (id: string) => boolean): Promise<string[]> {
  try {
    return (await readdir(folder)).filter(matches);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
