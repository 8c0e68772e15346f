import type { Job } from "../../core/job.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { splitRecords, toText } from "../../workspace/paths.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";
import type { ProjectTrees } from "./trees.ts";

/** How the project has changed since a job took its files. */
export interface Drift {
  readonly now: TreeBase;
  /** Paths of files that differ. */
  readonly changed: readonly string[];
}

/**
 * Compares the project as it is now with the files that a job started from; null = they are the same.
 * @param isWanted the job's files are to be updated, so a comparison that fails throws; otherwise it answers null
 * @throws PluginError `invalid_task`, `workspace_failed`
 */
export async function driftOf(
  { trees, log }: { readonly trees: ProjectTrees; readonly log: Log },
  job: Job,
  isWanted: boolean,
): Promise<Drift | null> {
  try {
    const store = job.base && (await trees.store());
    if (!job.base || !store || store.root !== job.base.project) throw notUpdatable(job);
    const now = await trees.current();
    if (!now || now.commit === job.base.commit) return null;
    const differs = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", job.base.commit, now.commit];
    return { now, changed: splitRecords(await store.run(differs)).map(toText) };
  } catch (error) {
    if (isWanted) throw error;
    if (job.base) log("warn", "could not compare a job's files", { jobID: job.id, reason: String(error) });
    return null;
  }
}

function notUpdatable({ id, base }: Job): PluginError {
  const why = base
    ? `it started from the project ${base.project}, send the message from there`
    : "it did not start from a project's files, or has not taken them yet";
  const message = `The files of ${id} cannot be brought up to date: ${why}; or leave out "update".`;
  return new PluginError("invalid_task", message, { retryable: false });
}
