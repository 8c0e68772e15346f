import { withStillFiles } from "../../sandboxes/still-files.ts";
import { PluginError } from "../../shared/error-code.ts";
import { oneLine, plainName } from "../../shared/plain-text.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";
import { type UpdateResult, updateTree } from "../../workspace/sandbox/update-tree.ts";
import type { TreeUpdate } from "../core/job.ts";
import type { Runtime } from "../runtime.ts";
import type { SessionJobs } from "../session/session-jobs.ts";

/**
 * Brings a job's files up to a newer state of its project, between two turns. It may be done again: what is there
 * already stays. A failure is no end of the job, its files are then as they were.
 * @returns what its agent is told before its prompt
 * @throws PluginError `sandbox_lost`
 */
export async function updateJob(
  runtime: Pick<Runtime, "trees" | "lifecycle" | "clock" | "ids" | "log">,
  sessionJobs: SessionJobs,
  jobID: string,
  to: TreeBase,
  signal: AbortSignal,
): Promise<string> {
  const before = sessionJobs.get(jobID);
  const store = await runtime.trees.store();
  if (!before?.base || !store || signal.aborted) return "";
  const from = [before.base, ...before.formerBases].filter(({ commit }) => commit !== to.commit);
  // First: whoever looks at its sandbox in between, or after a crash, finds by these what it stands on.
  sessionJobs.update(jobID, (job) => ({ ...job, base: to, formerBases: from }));
  try {
    const updated = await runtime.lifecycle.withSandbox(sessionJobs, jobID, async (sandbox) => {
      if (!sandbox) throw new Error("it has no sandbox");
      const { clock } = runtime;
      const scratchID = runtime.ids("update");
      return withStillFiles(sandbox, (files) => updateTree({ store, from, to, sandbox: files, clock, scratchID, signal }));
    });
    if (updated.kind === "same") return "";
    record({ conflicts: updated.kind === "conflicts" ? updated.paths : [], problem: null });
    return `${renderUpdated(updated)}\n\n`;
  } catch (error) {
    if (signal.aborted) return ""; // with its turn it is done again
    const problem = error instanceof Error ? error.message : String(error);
    sessionJobs.update(jobID, (job) => ({ ...job, base: before.base, formerBases: before.formerBases }));
    if (error instanceof PluginError && error.code === "sandbox_lost") throw error;
    runtime.log("warn", "could not bring a job's files up to date", { jobID, reason: problem });
    record({ conflicts: [], problem });
    return `Your files were to be brought up to date with the project, but that failed: ${oneLine(problem)}. They are as you left them.\n\n`;
  }

  function record(update: Omit<TreeUpdate, "at">): void {
    sessionJobs.update(jobID, (job) => ({ ...job, update: { at: runtime.clock.now(), ...update } }));
  }
}

const UPDATED = "The project went on since you took its files, and they were brought up to date with it";

/** What the job is told before its turn. The plugin says it, so names of files can say nothing in it. */
export function renderUpdated(updated: UpdateResult): string {
  if (updated.kind !== "conflicts") return `${UPDATED}: your commits were rebased, and nothing conflicts.`;
  const whole = "all you did so far is in them, not committed; your former commits are on the branch before-update";
  if (updated.paths.length === 0) return `${UPDATED}: ${whole}. Nothing conflicts.`;
  return `${UPDATED}: ${whole}. These files conflict and hold conflict markers: ${updated.paths.map((path) => plainName(path)).join(", ")}. Resolve them first, by what both sides meant, and commit.`;
}
