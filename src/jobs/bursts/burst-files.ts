import { NOTHING_RETURNED, type Returned } from "../../core/burst-return.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import { changedThere, planMirror, planReturn } from "../../workspace/exchange/file-plan.ts";
import {
  type FileTree,
  isHidden,
  type Pairing,
  pairCopy,
  type TreeEntry,
} from "../../workspace/exchange/file-trees.ts";
import { listTree } from "../../workspace/exchange/list-tree.ts";
import { carryOut, recoverStage, stageFiles } from "../../workspace/exchange/send-files.ts";

/** Most that comes back from one command: it passes through this process. */
export const RETURN_BYTES = 1024 ** 3;

export interface BurstFilesDeps {
  readonly clock: Clock;
  readonly ids: IdGenerator;
  /** Absent = `RETURN_BYTES`. */
  readonly returnBytes?: number | undefined;
}

export interface ReturnBounds {
  readonly limitMs: number;
  /** Stops the transfer, but not the step in which files are put in place. */
  readonly signal: AbortSignal;
  /** Runs work while no tool of the job changes files. */
  readonly exclusively: <T>(work: () => Promise<T>) => Promise<T>;
  /** Called before files are put in place: from then on all of them come, whatever happens to this process. */
  readonly onPlace: () => void;
}

/** The files of one sandbox with a GPU, and what is known of their counterparts in the job's own. */
export interface BurstFiles {
  /** Brings the job's files there as they are now. @throws PluginError `workspace_failed`, `sandbox_lost`; Error */
  send(here: Sandbox, signal: AbortSignal): Promise<void>;
  /** Brings back what has changed there. @throws PluginError `workspace_failed`, `sandbox_lost`; Error */
  bringBack(here: Sandbox, bounds: ReturnBounds): Promise<Returned>;
}

const LIMIT_MS = 10 * 60_000;

/** @param before the job's files before the copy was taken that the sandbox was made from */
export function createBurstFiles(deps: BurstFilesDeps, there: Sandbox, before: FileTree): BurstFiles {
  const { clock, ids, returnBytes = RETURN_BYTES } = deps;
  let known: Pairing | null = null;
  let left: ReadonlySet<string> = new Set();

  const nextID = () => ids("exchange").replaceAll(/[^\w-]/g, "");

  async function send(here: Sandbox, signal: AbortSignal): Promise<void> {
    const bounds = { clock, limitMs: LIMIT_MS, signal };
    const [own, other] = await Promise.all([listTree(here, bounds), listTree(there, bounds)]);
    known ??= pairCopy(before, other.tree);
    const plan = planMirror(known, own.tree, other.tree, left);
    const id = nextID();
    const hasWork = plan.put.length + plan.remove.length + plan.folders.length + plan.removeFolders.length > 0;
    if (!hasWork) {
      known = { here: own.tree, there: other.tree, apart: new Set() };
      return;
    }
    try {
      const missing = await stageFiles(here, there, plan.put, id, bounds);
      const { failed } = await carryOut(there, plan, id, bounds);
      const now = (await listTree(there, bounds)).tree;
      left = new Set([...left].filter((path) => !plan.put.includes(path)));
      known = { here: own.tree, there: now, apart: new Set([...missing, ...failed]) };
    } catch (error) {
      await recoverStage(there, { clock, limitMs: LIMIT_MS }).catch(() => {});
      throw error;
    }
  }

  async function bringBack(here: Sandbox, { limitMs, signal, exclusively, onPlace }: ReturnBounds): Promise<Returned> {
    const bounds = { clock, limitMs, signal };
    const former = known;
    if (!former) return NOTHING_RETURNED;
    const now = await listTree(there, bounds);
    const { sent, tooLarge } = divide(changedThere(former, now.tree), now.tree, returnBytes);
    const id = nextID();
    try {
      const missing = await stageFiles(there, here, sent, id, bounds);
      const notSent = new Set([...left, ...tooLarge.map(({ path }) => path), ...missing]);
      return await exclusively(async () => {
        const own = (await listTree(here, bounds)).tree;
        const plan = planReturn(former, own, now.tree, notSent);
        onPlace();
        const { failed, same } = await carryOut(here, plan, id, bounds).catch(finish);
        const after = (await listTree(here, { clock, limitMs })).tree;
        const inPlace = plan.put.filter((path) => !failed.includes(path));
        const changed = [...inPlace, ...plan.remove, ...plan.removeFolders, ...plan.folders.map(({ path }) => path)];
        left = new Set([...left, ...tooLarge.map(({ path }) => path)]);
        known = {
          here: withChanges(former.here, after, changed),
          there: now.tree,
          apart: new Set([
            ...plan.beside.map(({ path }) => path),
            ...plan.kept,
            ...failed,
            ...missing,
            ...[...own.keys()].filter((path) => isHidden(now.tree, path)),
          ]),
        };
        return {
          put: inPlace.length,
          removed: plan.remove.length,
          beside: plan.beside.filter(({ path }) => !same.includes(path) && !failed.includes(path)),
          kept: plan.kept,
          left: tooLarge,
          special: now.special,
          failed: [...failed, ...missing, ...plan.closed.map((folder) => `${folder}/`)],
        };
      });
    } catch (error) {
      await recoverStage(here, { clock, limitMs }).catch(() => {});
      throw error;
    }

    /** A step that was cut off is finished or undone. */
    async function finish(error: unknown): Promise<{ failed: readonly string[]; same: readonly string[] }> {
      const how = await recoverStage(here, { clock, limitMs });
      if (how !== "finished") throw error;
      return { failed: [], same: [] };
    }
  }

  return { send, bringBack };
}

/** What was known of the job's files, with those entries as they are now that we have changed ourselves. */
function withChanges(known: FileTree, now: FileTree, changed: readonly string[]): FileTree {
  const result = new Map(known);
  for (const path of changed) {
    const entry = now.get(path);
    if (entry) result.set(path, entry);
    else result.delete(path);
  }
  return result;
}

/** As many of the files as may come back together, the smallest first. */
function divide(paths: readonly string[], tree: FileTree, limit: number) {
  const sizeOf = (path: string): number => (tree.get(path) as TreeEntry).bytes;
  const bySize = [...paths].sort((a, b) => sizeOf(a) - sizeOf(b));
  let sum = 0;
  const sent: string[] = [];
  const tooLarge: { path: string; bytes: number }[] = [];
  for (const path of bySize) {
    sum += sizeOf(path);
    if (sum <= limit) sent.push(path);
    else tooLarge.push({ path, bytes: sizeOf(path) });
  }
  return { sent, tooLarge };
}
