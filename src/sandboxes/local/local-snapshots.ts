import { join, posix } from "node:path";
import type { Clock } from "../../shared/clock.ts";
import { within } from "../../shared/deadline.ts";
import { PluginError } from "../../shared/error-code.ts";
import { isProcessDead } from "../../shared/is-process-dead.ts";
import type { Sandbox, SnapshotStore } from "../port.ts";
import type { HostReserve } from "./disk-room.ts";
import type { Enclosure, Isolation } from "./isolation.ts";
import {
  dirsAt,
  halfNameOf,
  isSnapshotID,
  isWhole,
  listIDs,
  makeWhole,
  PARTS,
  type Part,
  placeOf,
  readMeta,
  type SandboxDirs,
  type SnapshotMeta,
  snapshotDir,
  unname,
} from "./layout.ts";
import type { LocalSandbox } from "./local-sandbox.ts";
import { refuseWithoutRoom } from "./snapshot-room.ts";
import type { CopyResult } from "./tree-copy.ts";

export interface LocalSnapshotDeps {
  readonly rootDir: string;
  readonly isolation: () => Promise<Isolation>;
  readonly clock: Clock;
  readonly ids: () => string;
  readonly reserve: () => Promise<HostReserve>;
  readonly ours: (sandbox: Sandbox) => LocalSandbox;
}

/** A full disk limit, copied by a slow disk. */
const COPY_MS = 10 * 60_000;

export function createLocalSnapshots(deps: LocalSnapshotDeps): SnapshotStore {
  /** Stands still meanwhile, so that no folder is swapped for another under the copy. */
  async function bounded<T>(source: LocalSandbox, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    const limit = { clock: deps.clock, limitMs: COPY_MS, doing: "Copying its files" };
    return within(
      source.whileStill(() => work(stop.signal)),
      limit,
    ).finally(() => stop.abort());
  }

  return {
    async take(sandbox, path, charged = null) {
      const source = deps.ours(sandbox);
      if (!isWhole(source.dirs))
        throw new PluginError("sandbox_lost", `Sandbox ${sandbox.id} no longer exists.`, { retryable: false });
      const { trees } = await deps.isolation();
      const id = `snap_${deps.ids()}`;
      const root = snapshotDir(deps.rootDir, id);
      const { parts, below } =
        path === null ? { parts: PARTS, below: "." } : partOf(source, posix.resolve(source.workdir, path));
      let leftOut: readonly string[] = [];
      try {
        await makeWhole(root, { id, path, createdAt: deps.clock.now(), pid: process.pid }, async (half) => {
          const copied = await bounded(source, async (signal) => {
            await refuseWithoutRoom({ ...deps, trees, signal }, source, parts, charged);
            return trees.copy(pairs(source.dirs, half, parts), { below, signal });
          });
          leftOut = toNotes(copied, source.enclosure, parts, below);
        });
        const { bytes, files } = await trees.measure(root);
        return { id, sizeBytes: bytes, files, leftOut, expiresAt: null };
      } catch (error) {
        await trees.remove(halfNameOf(root));
        throw new PluginError(
          "snapshot_failed",
          `Could not take a snapshot of sandbox ${sandbox.id}: ${(error as Error).message}`,
          { cause: error, retryable: error instanceof PluginError ? error.retryable : null },
        );
      }
    },
    async remove(snapshotID) {
      if (!isSnapshotID(snapshotID)) return;
      await (await deps.isolation()).trees.remove(await unname(snapshotDir(deps.rootDir, snapshotID)));
    },
    async leftBehind() {
      const folder = placeOf(deps.rootDir, "snapshots");
      const found = (await listIDs(folder, isSnapshotID)).map((id) => readMeta<SnapshotMeta>(join(folder, id)));
      // One whose record is damaged may be anybody's: it is kept.
      return found.filter((meta) => meta !== null && meta !== "damaged").filter(({ pid }) => isProcessDead(pid));
    },
  };
}

/** Puts a snapshot's files into a new sandbox's directories; returns what it could not. @throws PluginError `not_found` */
export async function restoreSnapshot(
  isolation: Isolation,
  rootDir: string,
  snapshotID: string,
  into: SandboxDirs,
  signal?: AbortSignal,
): Promise<CopyResult> {
  const root = snapshotDir(rootDir, snapshotID);
  if (!isWhole(dirsAt(root)))
    throw new PluginError("not_found", `Snapshot ${snapshotID} does not exist on this machine.`, { retryable: false });
  return isolation.trees.copy(pairs(dirsAt(root), into), signal ? { signal } : {});
}

function pairs(from: SandboxDirs, to: SandboxDirs, parts: readonly Part[] = PARTS) {
  return parts.map((part) => ({ from: from[part], to: to[part] }));
}

/** In the words of the job, by its own paths. */
export function toNotes(
  { leftOut, leftOutCount }: CopyResult,
  { workdir, home, tmp, logs }: Pick<Enclosure, "workdir" | "home" | "tmp" | "logs">,
  parts: readonly Part[] = PARTS,
  below = ".",
): string[] {
  if (leftOutCount === 0) return [];
  const folders = { workspace: workdir, home, tmp, logs };
  const named = leftOut.slice(0, NAMED).map(({ pair, path, why }) => {
    const folder = folders[parts[pair] as Part];
    return `${posix.join(folder, below, path)} (${why})`;
  });
  const more = leftOutCount > named.length ? ` and ${leftOutCount - named.length} more` : "";
  return [`Not copied: ${named.join(", ")}${more}.`];
}

const NAMED = 5;

/** Which of the sandbox's own directories a path inside lies in. */
function partOf(sandbox: LocalSandbox, path: string): { readonly parts: readonly Part[]; readonly below: string } {
  const { workdir, home, tmp } = sandbox.enclosure;
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
