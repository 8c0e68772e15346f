import { renameSync } from "node:fs";
import { join, posix } from "node:path";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { isProcessDead } from "../../shared/is-process-dead.ts";
import { within } from "../../shared/time-limit.ts";
import type { Sandbox, SnapshotStore, TakenSnapshot } from "../port.ts";
import type { HostReserve } from "./free-disk-space.ts";
import type { Isolation, IsolationBackend } from "./isolation.ts";
import {
  createAtomically,
  dirsAt,
  folderOf,
  isComplete,
  isSandboxID,
  isSnapshotID,
  listIDs,
  moveAside,
  PARTS,
  type Part,
  readMeta,
  type SandboxDirs,
  type SnapshotMeta,
  snapshotDir,
  temporaryPathOf,
  writeMeta,
} from "./layout.ts";
import type { LocalSandbox } from "./local-sandbox.ts";
import { refuseOverQuota } from "./snapshot-quota.ts";
import type { CopyResult } from "./tree-copy.ts";
import { addSizes } from "./tree-measure.ts";

export interface LocalSnapshotDeps {
  readonly rootDir: string;
  readonly backend: () => Promise<IsolationBackend>;
  readonly clock: Clock;
  readonly ids: () => string;
  readonly reserve: () => Promise<HostReserve>;
  readonly ours: (sandbox: Sandbox) => LocalSandbox;
  /** A sandbox that has ended by itself in this process; its files are there until it is terminated. */
  readonly lost: (sandboxID: string) => LocalSandbox | null;
}

/** Enough for a slow disk to copy all that a sandbox's disk limit allows. */
const COPY_MS = 10 * 60_000;

export function createLocalSnapshots(deps: LocalSnapshotDeps): SnapshotStore {
  /** Freezes the source while `work` runs, so that no folder is swapped for another under the copy. */
  async function copyWhileFrozen<T>(source: LocalSandbox, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    const limit = { clock: deps.clock, limitMs: COPY_MS, doing: "Copying its files" };
    return within(
      source.whileFrozen(() => work(stop.signal)),
      limit,
    ).finally(() => stop.abort());
  }

  const store: SnapshotStore = {
    derives: () => false, // each is a copy
    keep(sandbox) {
      return this.take(sandbox, null, null);
    },
    freeze: null,
    async take(sandbox, path, used = null) {
      const source = deps.ours(sandbox);
      if (!isComplete(source.dirs))
        throw new PluginError("sandbox_lost", `Sandbox ${sandbox.id} no longer exists.`, { retryable: false });
      const { trees } = await deps.backend();
      const id = `snap_${deps.ids()}`;
      const root = snapshotDir(deps.rootDir, id);
      const { parts, below } =
        path === null ? { parts: PARTS, below: "." } : partOf(source, posix.resolve(source.workdir, path));
      let leftOut: readonly string[] = [];
      try {
        await createAtomically(root, { id, path, createdAt: deps.clock.now(), pid: process.pid }, async (temporary) => {
          const copied = await copyWhileFrozen(source, async (signal) => {
            await refuseOverQuota({ ...deps, trees, signal }, source, parts, used);
            return trees.copy(pairs(source.dirs, temporary, parts), { below, signal });
          });
          leftOut = toNotes(copied, source.isolation, parts, below);
        });
        const { bytes, files } = addSizes(await trees.measure([root]));
        return { id, sizeBytes: bytes, files, leftOut, expiresAt: null };
      } catch (error) {
        await trees.remove([temporaryPathOf(root)]);
        throw new PluginError(
          "snapshot_failed",
          `Could not take a snapshot of sandbox ${sandbox.id}: ${(error as Error).message}`,
          { cause: error, retryable: error instanceof PluginError ? error.retryable : null },
        );
      }
    },
    async retire(sandbox, on) {
      const source = deps.ours(sandbox);
      // Elsewhere a process of the job may outlive its sandbox, and would go on writing to the snapshot.
      if ((await deps.backend()).kind !== "bubblewrap") return null;
      if (!isComplete(source.dirs))
        throw new PluginError("sandbox_lost", `Sandbox ${sandbox.id} no longer exists.`, { retryable: false });
      on.ending();
      await source.halt(null);
      const id = retiredID(sandbox.id);
      const root = snapshotDir(deps.rootDir, id);
      try {
        const taken = toRetired(id);
        on.keeping(taken);
        renameSync(source.dirs.root, root);
        writeMeta(root, { id, path: null, createdAt: deps.clock.now(), pid: process.pid });
        return taken;
      } catch (error) {
        const message = `Could not keep the files of sandbox ${sandbox.id}: ${(error as Error).message}`;
        throw new PluginError("snapshot_failed", message, { cause: error, retryable: null });
      }
    },
    async ofLost(sandboxID) {
      const lost = deps.lost(sandboxID);
      if (lost) return isComplete(lost.dirs) ? store.take(lost, null) : null;
      if (!isSandboxID(sandboxID)) return null;
      const id = retiredID(sandboxID);
      return isComplete(dirsAt(snapshotDir(deps.rootDir, id))) ? toRetired(id) : null;
    },
    async remove(snapshotID) {
      if (!isSnapshotID(snapshotID)) return;
      await (await deps.backend()).trees.remove([moveAside(snapshotDir(deps.rootDir, snapshotID))]);
    },
    async orphans() {
      const folder = folderOf(deps.rootDir, "snapshots");
      const found = (await listIDs(folder, isSnapshotID)).map((id) => readMeta<SnapshotMeta>(join(folder, id)));
      // A snapshot whose record is damaged may belong to anybody, so it is kept.
      return found.filter((meta) => meta !== null && meta !== "damaged").filter(({ pid }) => isProcessDead(pid));
    },
  };
  return store;
}

/** Id of the snapshot that a sandbox becomes: the same in every process. */
const retiredID = (sandboxID: string): string => sandboxID.replace(/^sbx_/, "snap_");

/** Its size is not known: finding it out would take longer than all the rest. */
const toRetired = (id: string): TakenSnapshot => ({ id, sizeBytes: null, files: null, leftOut: [], expiresAt: null });

/** Copies a snapshot's files into a new sandbox's directories. @returns what was left out @throws PluginError `not_found` */
export async function restoreSnapshot(
  backend: IsolationBackend,
  rootDir: string,
  snapshotID: string,
  into: SandboxDirs,
  signal?: AbortSignal,
): Promise<CopyResult> {
  const root = snapshotDir(rootDir, snapshotID);
  if (!isComplete(dirsAt(root)))
    throw new PluginError("not_found", `Snapshot ${snapshotID} does not exist on this machine.`, { retryable: false });
  return backend.trees.copy(pairs(dirsAt(root), into), { isAtRest: true, signal });
}

function pairs(from: SandboxDirs, to: SandboxDirs, parts: readonly Part[] = PARTS) {
  return parts.map((part) => ({ from: from[part], to: to[part] }));
}

/** What a copy left out, as notes for the job with the paths that the job sees. */
export function toNotes(
  { leftOut, leftOutCount }: CopyResult,
  { workdir, home, tmp, logs }: Pick<Isolation, "workdir" | "home" | "tmp" | "logs">,
  parts: readonly Part[] = PARTS,
  below = ".",
): string[] {
  if (leftOutCount === 0) return [];
  const folders = { workspace: workdir, home, tmp, logs };
  const named = leftOut.slice(0, MAX_NAMED).map(({ pair, path, why }) => {
    const folder = folders[parts[pair] as Part];
    return `${posix.join(folder, below, path)} (${why})`;
  });
  const more = leftOutCount > named.length ? ` and ${leftOutCount - named.length} more` : "";
  return [`Not copied: ${named.join(", ")}${more}.`];
}

const MAX_NAMED = 5;

/** The part of the sandbox that a path inside lies in, and the path's place in that part. */
function partOf(sandbox: LocalSandbox, path: string): { readonly parts: readonly Part[]; readonly below: string } {
  const { workdir, home, tmp } = sandbox.isolation;
  for (const [name, root] of [
    ["workspace", workdir],
    ["home", home],
    ["tmp", tmp],
  ] as const) {
    if (path === root || path.startsWith(`${root}/`))
      return { parts: [name], below: posix.relative(root, path) || "." };
  }
  throw new PluginError(
    "snapshot_failed",
    `Only directories below ${workdir}, ${home} and ${tmp} can be snapshotted, not ${path}.`,
    { retryable: false },
  );
}
