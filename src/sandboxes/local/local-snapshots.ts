import { stat } from "node:fs/promises";
import { join, posix } from "node:path";
import type { Clock } from "../../shared/clock.ts";
import { within } from "../../shared/deadline.ts";
import { LabError } from "../../shared/error-code.ts";
import { isProcessDead } from "../../shared/process-alive.ts";
import type { Sandbox, SnapshotStore } from "../port.ts";
import type { Isolation } from "./isolation.ts";
import {
  dirsAt,
  halfNameOf,
  isSnapshotID,
  listIDs,
  makeWhole,
  PARTS,
  type Part,
  readMeta,
  type SandboxDirs,
  type SnapshotMeta,
  snapshotDir,
  unname,
} from "./layout.ts";
import type { LocalSandbox } from "./local-sandbox.ts";

export interface LocalSnapshotDeps {
  readonly rootDir: string;
  readonly isolation: () => Promise<Isolation>;
  readonly clock: Clock;
  readonly ids: () => string;
  readonly ours: (sandbox: Sandbox) => LocalSandbox;
}

/** A full disk limit, copied by a slow disk. */
const COPY_MS = 10 * 60_000;

export function createLocalSnapshots(deps: LocalSnapshotDeps): SnapshotStore {
  return {
    async take(sandbox, path) {
      const source = deps.ours(sandbox);
      if (!(await exists(source.dirs.root)))
        throw new LabError("sandbox_lost", `Sandbox ${sandbox.id} no longer exists.`, { retryable: false });
      const { trees } = await deps.isolation();
      const id = `snap_${deps.ids()}`;
      const root = snapshotDir(deps.rootDir, id);
      const part = path === null ? null : partOf(source, posix.resolve(source.workdir, path));
      try {
        await makeWhole(root, { id, path, createdAt: deps.clock.now(), pid: process.pid }, async (half) => {
          const stop = new AbortController();
          const { signal } = stop;
          const parts = pairs(source.dirs, half, part === null ? PARTS : [part.name]);
          const limit = { clock: deps.clock, limitMs: COPY_MS, doing: "Copying its files" };
          const copy = () => trees.copy(parts, { below: part?.below ?? ".", signal });
          await within(source.whileStill(copy), limit).finally(() => stop.abort());
        });
        return { id, sizeBytes: await trees.sizeBytes(root), expiresAt: null };
      } catch (error) {
        await trees.remove(halfNameOf(root));
        throw new LabError(
          "snapshot_failed",
          `Could not take a snapshot of sandbox ${sandbox.id}: ${(error as Error).message}`,
          { cause: error, retryable: null },
        );
      }
    },
    async remove(snapshotID) {
      if (!isSnapshotID(snapshotID)) return;
      await (await deps.isolation()).trees.remove(await unname(snapshotDir(deps.rootDir, snapshotID)));
    },
    async leftBehind() {
      const folder = join(deps.rootDir, "snapshots");
      const found = await Promise.all(
        (await listIDs(folder, isSnapshotID)).map((id) => readMeta<SnapshotMeta>(join(folder, id))),
      );
      return found.filter((meta) => meta !== null).filter(({ pid }) => isProcessDead(pid));
    },
  };
}

/** Puts a snapshot's files into a new sandbox's directories. @throws LabError `not_found` */
export async function restoreSnapshot(
  isolation: Isolation,
  rootDir: string,
  snapshotID: string,
  into: SandboxDirs,
  signal?: AbortSignal,
): Promise<void> {
  const root = snapshotDir(rootDir, snapshotID);
  if (!(await exists(root)))
    throw new LabError("not_found", `Snapshot ${snapshotID} does not exist on this machine.`, { retryable: false });
  await isolation.trees.copy(pairs(dirsAt(root), into), signal ? { signal } : {});
}

function pairs(from: SandboxDirs, to: SandboxDirs, parts: readonly Part[] = PARTS) {
  return parts.map((part) => ({ from: from[part], to: to[part] }));
}

/** Which of the sandbox's own directories a path inside lies in. */
function partOf(sandbox: LocalSandbox, path: string): { readonly name: Part; readonly below: string } {
  const { workdir, home, tmp } = sandbox.enclosure;
  for (const [name, root] of [
    ["workspace", workdir],
    ["home", home],
    ["tmp", tmp],
  ] as const) {
    if (path === root || path.startsWith(`${root}/`)) return { name, below: posix.relative(root, path) || "." };
  }
  throw new LabError(
    "snapshot_failed",
    `Only directories below ${workdir}, ${home} and ${tmp} can be snapshotted, not ${path}.`,
    { retryable: false },
  );
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw error;
    },
  );
}
