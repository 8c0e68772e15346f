import { toSandboxEnv } from "../../sandboxes/environment.ts";
import type { Sandbox, SandboxProvider } from "../../sandboxes/port.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Job } from "../core/job.ts";
import type { ProjectTrees } from "../project/trees.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import { type MadeSandbox, makeSandbox, type SandboxMakerDeps } from "./creation.ts";
import type { Snapshots } from "./snapshots.ts";

export interface SandboxSourcesDeps extends SandboxMakerDeps {
  readonly snapshots: Snapshots;
  readonly trees: ProjectTrees;
}

/** Where the sandbox of a job comes from: found again, made of its snapshot, or made for the first time. */
export function createSandboxSources(deps: SandboxSourcesDeps) {
  return {
    /** The one the job is recorded to have; null when it has none, or it is lost. */
    async attach(provider: SandboxProvider, job: Job): Promise<Sandbox | null> {
      if (job.sandbox.kind !== "live") return null;
      try {
        const environment = deps.environments[job.task.environment];
        return await provider.attach(job.sandbox.id, environment ? toSandboxEnv(environment, deps.hostEnv) : {});
      } catch (error) {
        if (error instanceof PluginError && error.code === "sandbox_lost") return null;
        throw error;
      }
    },

    /** With the files of the one it had. @throws PluginError `restart_unrecoverable` when those are lost */
    async revive(provider: SandboxProvider, job: Job, signal: AbortSignal): Promise<MadeSandbox> {
      return makeSandbox(deps, provider, job, snapshotOf(job), signal);
    },

    /** From the project's files, the task's snapshot, or nothing. @throws PluginError */
    async first(
      sessionJobs: SessionJobs,
      provider: SandboxProvider,
      job: Job,
      signal: AbortSignal,
    ): Promise<MadeSandbox> {
      const make = async () => {
        const snapshotID = await deps.trees.startingPoint(sessionJobs, job, provider, signal);
        return { snapshotID, made: makeSandbox(deps, provider, job, snapshotID, signal) };
      };
      const { snapshotID, made } = await make();
      return made.catch(async (error) => {
        const isGone =
          error instanceof PluginError && (error.code === "snapshot_expired" || error.code === "not_found");
        if (!isGone || snapshotID === null || snapshotID === job.task.snapshotID) throw error;
        deps.trees.forgetSnapshot(snapshotID); // it was replaced, or has expired: the project is sent again
        return (await make()).made;
      });
    },
  };

  function snapshotOf(job: Job): string {
    if (job.sandbox.kind === "parked") return job.sandbox.snapshotID;
    const newest = deps.snapshots.newestOf(job);
    if (newest) return newest.id;
    const message = `The sandbox of ${job.id} is gone and no snapshot of it exists, so its files are lost. Start a new job.`;
    throw new PluginError("restart_unrecoverable", message, { retryable: false });
  }
}
