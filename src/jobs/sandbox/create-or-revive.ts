import type { Job } from "../../core/job.ts";
import type { SandboxProvider } from "../../sandboxes/port.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { ProjectTrees } from "../project/trees.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import { type CreationDeps, createSandbox, type MadeSandbox } from "./creation.ts";
import type { Snapshots } from "./snapshots.ts";

export interface SourcesDeps extends CreationDeps {
  readonly snapshots: Snapshots;
  readonly trees: ProjectTrees;
}

/** Creates the sandbox of a job that had one, with the files it had. @throws PluginError `restart_unrecoverable` when those are lost */
export const reviveSandbox = (deps: SourcesDeps, provider: SandboxProvider, job: Job, signal: AbortSignal) =>
  createSandbox(deps, provider, job, lastSnapshotOf(deps, job), signal);

/** Creates the first sandbox of a job: from the project's files, the task's snapshot, or nothing. @throws PluginError */
export async function createFirstSandbox(
  deps: SourcesDeps,
  sessionJobs: SessionJobs,
  provider: SandboxProvider,
  job: Job,
  signal: AbortSignal,
): Promise<MadeSandbox> {
  const create = async () => {
    const snapshotID = await deps.trees.startingPoint(sessionJobs, job, provider, signal);
    return { snapshotID, creating: createSandbox(deps, provider, job, snapshotID, signal) };
  };
  const { snapshotID, creating } = await create();
  return creating.catch(async (error) => {
    const isGone = error instanceof PluginError && (error.code === "snapshot_expired" || error.code === "not_found");
    if (!isGone || snapshotID === null || snapshotID === job.task.snapshotID) throw error;
    deps.trees.forgetSnapshot(snapshotID); // it was replaced, or has expired: the project is sent again
    return (await create()).creating;
  });
}

function lastSnapshotOf({ snapshots }: SourcesDeps, job: Job): string {
  if (job.sandbox.kind === "parked") return job.sandbox.snapshotID;
  const newest = snapshots.newestOf(job);
  if (newest) return newest.id;
  const message = `The sandbox of ${job.id} is gone and no snapshot of it exists, so its files are lost. Start a new job.`;
  throw new PluginError("restart_unrecoverable", message, { retryable: false });
}
