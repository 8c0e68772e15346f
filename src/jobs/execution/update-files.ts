import type { TreeUpdate } from "../../core/tree-update.ts";
import { renderUpdated, renderUpdateFailure } from "../../prompt/turn-text.ts";
import { withFrozenFiles } from "../../sandboxes/with-frozen-files.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";
import type { ProjectStore } from "../../workspace/project/project-store.ts";
import { updateTree } from "../../workspace/sandbox/update-tree.ts";
import type { ProjectTrees } from "../project/trees.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import type { SessionJobs } from "../session/session-jobs.ts";

export interface UpdateFilesDeps {
  readonly trees: Pick<ProjectTrees, "store">;
  readonly lifecycle: Pick<SandboxLifecycle, "withSandbox">;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
}

/**
 * Brings a job's files up to a newer state of its project, between two turns. Safe to repeat: what is there already
 * stays. A failure does not end the job; its files are then as they were.
 * @returns what its agent is told before its prompt, and which files of the project have changed, by paths in it
 * @throws PluginError `sandbox_lost`
 */
export async function updateFiles(
  deps: UpdateFilesDeps,
  sessionJobs: SessionJobs,
  jobID: string,
  to: TreeBase,
  signal: AbortSignal,
): Promise<{ readonly told: string; readonly changed: readonly string[] }> {
  const before = sessionJobs.get(jobID);
  const store = await deps.trees.store();
  if (!before?.base || !store || signal.aborted) return NOTHING;
  const from = [before.base, ...before.formerBases].filter(({ commit }) => commit !== to.commit);
  // First, so that whoever looks at its sandbox in between, or after a crash, knows every tree that its files may be of.
  sessionJobs.update(jobID, (job) => ({ ...job, base: to, formerBases: from }));
  try {
    const updated = await deps.lifecycle.withSandbox(sessionJobs, jobID, async (sandbox) => {
      if (!sandbox) throw new Error("it has no sandbox");
      const { clock } = deps;
      const scratchID = deps.ids("update");
      return withFrozenFiles(sandbox, (files) =>
        updateTree({ store, from, to, sandbox: files, clock, scratchID, signal }),
      );
    });
    if (updated.kind === "same") return NOTHING;
    record({ conflicts: updated.kind === "conflicts" ? updated.paths : [], problem: null });
    const changed = await changedBetween(store, before.base, to).catch(() => []); // since it was updated once, it has both
    return { told: `${renderUpdated(updated)}\n\n`, changed };
  } catch (error) {
    if (signal.aborted) return NOTHING; // it is done again with its turn
    const problem = error instanceof Error ? error.message : String(error);
    sessionJobs.update(jobID, (job) => ({ ...job, base: before.base, formerBases: before.formerBases }));
    if (error instanceof PluginError && error.code === "sandbox_lost") throw error;
    deps.log("warn", "could not bring a job's files up to date", { jobID, reason: problem });
    record({ conflicts: [], problem });
    return { told: `${renderUpdateFailure(problem)}\n\n`, changed: [] };
  }

  function record(update: Omit<TreeUpdate, "at">): void {
    sessionJobs.update(jobID, (job) => ({ ...job, update: { at: deps.clock.now(), ...update } }));
  }
}

const NOTHING = { told: "", changed: [] };

/** Paths are text, as in tool calls. */
async function changedBetween(store: ProjectStore, from: TreeBase, to: TreeBase): Promise<string[]> {
  const names = await store.run(["diff-tree", "-r", "-z", "--name-only", from.commit, to.commit]);
  return names.toString("utf8").split("\0").slice(0, -1);
}
