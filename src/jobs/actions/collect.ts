import { homedir } from "node:os";
import { PluginError } from "../../shared/error-code.ts";
import { configuredInstructions } from "../../workspace/collect/instruction-patterns.ts";
import { COLLECTED, decideFolder, decideTarget, refuseHooks, refuseLinks } from "../../workspace/collect/target.ts";
import { TargetTakenError } from "../../workspace/collect/write-files.ts";
import { realPathOrSelf } from "../../workspace/project/home-folders.ts";
import type { ProjectTrees } from "../project/trees.ts";
import { type CollectChangesDeps, type Collected, collectChanges } from "./collect-changes.ts";
import { type CollectFilesDeps, type CopiedFiles, collectFiles } from "./collect-files.ts";

export interface CollectDeps extends CollectChangesDeps, CollectFilesDeps {
  readonly trees: ProjectTrees;
}

export interface CollectCall {
  readonly job: string;
  readonly mode: "branch" | "patch" | "files";
  readonly paths: readonly string[];
  /** null = the usual place. */
  readonly into: string | null;
  /** Where the host is open, absolute. */
  readonly directory: string;
  /** Paths and patterns of the files the host is configured to read as instructions. */
  readonly instructions: readonly string[];
  readonly signal: AbortSignal;
  /** Before anything is written. `target` is relative to `root`, null = the folder of the host. @throws to refuse it */
  confirm(root: string | null, target: string): Promise<void>;
}

/** `shownRoot`: absolute root of the project, which the target is relative to; null where the host is open in it. */
export type CollectedWork =
  | { readonly kind: "branch"; readonly collected: Collected }
  | {
      readonly kind: "patch";
      readonly collected: Collected;
      readonly target: string;
      readonly shownRoot: string | null;
    }
  | {
      readonly kind: "files";
      readonly copied: CopiedFiles;
      readonly target: string;
      readonly shownRoot: string | null;
    };

const MAX_ATTEMPTS = 5;

/**
 * Brings a job's work to the user's project, as a branch, a patch or files.
 * @throws PluginError `not_found`, `invalid_task`, `collect_failed`, `workspace_failed`, and what `confirm` throws
 */
export async function collect(deps: CollectDeps, orchestrator: string, call: CollectCall): Promise<CollectedWork> {
  const { job, mode, paths, into } = call;
  if (mode === "branch") {
    if (into !== null || paths.length > 0)
      throw new PluginError("invalid_task", '"paths" and "into" need mode "patch" or "files".', { retryable: false });
    await call.confirm(null, `.git/refs/heads/agents/${job}`);
    return { kind: "branch", collected: await collectChanges(deps, orchestrator, job, { mode }) };
  }
  const store = await deps.trees.store();
  if (store === null) throw new PluginError("collect_failed", "There is no project to write to.", { retryable: false });
  const { root } = store;
  const shownRoot = (await isSameFolder(root, call.directory)) ? null : root;
  if (mode === "files") {
    const isConfigured = configuredInstructions(call.instructions, root, call.directory, homedir());
    for (let attempt = 1; ; attempt++) {
      const target = await decideFolder(root, job, into);
      await refuseHooks(store, target);
      await call.confirm(root, target);
      const request = { root, target, paths, isConfigured, signal: call.signal };
      try {
        return { kind: "files", copied: await collectFiles(deps, orchestrator, job, request), target, shownRoot };
      } catch (error) {
        // Several calls of one step may all have found the default folder free.
        if (!(error instanceof TargetTakenError) || into !== null || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }
  const target = decideTarget(root, into ?? `${COLLECTED}/${job.replace(/\W/g, "_")}.patch`);
  await refuseLinks(root, target);
  await refuseHooks(store, target);
  await call.confirm(root, target);
  const collected = await collectChanges(deps, orchestrator, job, { mode, target, paths });
  return { kind: "patch", collected, target, shownRoot };
}

const isSameFolder = async (one: string, other: string): Promise<boolean> =>
  (await realPathOrSelf(one)) === (await realPathOrSelf(other));
