import type { Job } from "../../core/job.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import { withFrozenFiles } from "../../sandboxes/with-frozen-files.ts";
import type { Clock } from "../../shared/clock.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import { type ProjectStore, storeFolder } from "../../workspace/project/project-store.ts";
import { forgetChanges, readChanges, saveNoChanges } from "../../workspace/project/stored-changes.ts";
import { fetchChanges } from "../../workspace/sandbox/fetch-changes.ts";

/** Jobs' changes to the project's files that are kept outside their sandboxes. */
export interface KeptWork {
  /** Saves a job's changes before its sandbox is terminated. Never rejects. @returns whether they are saved */
  saveChanges(job: Job, sandbox: Sandbox): Promise<boolean>;
  /** Records that a job has changed nothing, whose sandbox goes on without it. Never rejects. @returns whether that is saved */
  saveNoChanges(job: Job): Promise<boolean>;
  /** Whether changes of the job are saved outside its sandboxes. */
  hasWork(job: Job): Promise<boolean>;
  /** Deletes the changes that were saved outside a job's sandboxes. */
  forgetWork(job: Job): Promise<void>;
}

export interface KeptWorkDeps {
  readonly stateDir: string;
  readonly store: () => Promise<ProjectStore | null>;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
}

export function createKeptWork(deps: KeptWorkDeps): KeptWork {
  const { store, clock, log } = deps;
  return {
    async saveChanges(job, sandbox) {
      const { base, formerBases, id: jobID } = job;
      try {
        const project = base && (await store());
        if (project?.root !== base?.project || !project || !base) return false;
        const request = { store: project, base, formerBases, jobID, clock, scratchID: deps.ids("work") };
        await withFrozenFiles(sandbox, (files) => fetchChanges({ ...request, sandbox: files }));
        return true;
      } catch (error) {
        log("warn", "could not save a job's changes outside its sandbox", { jobID, reason: String(error) });
        // Delete the earlier copy, or it would pass for the newest work.
        await this.forgetWork(job).catch((again) =>
          log("error", "could not delete a job's earlier changes", { jobID, reason: String(again) }),
        );
        return false;
      }
    },
    async saveNoChanges({ id, base }) {
      try {
        const project = base && (await store());
        if (project && base) await saveNoChanges(project, id, base.commit, deps.ids("work"));
        return true; // without a project's files there is nothing to collect
      } catch (error) {
        log("warn", "could not record that a job has changed nothing", { jobID: id, reason: String(error) });
        return false;
      }
    },
    hasWork: async ({ id, base }) =>
      base !== null && (await readChanges({ folder: storeFolder(deps.stateDir, base.project) }, id)) !== null,
    async forgetWork({ id, base }) {
      if (base) await forgetChanges({ folder: storeFolder(deps.stateDir, base.project) }, id);
    },
  };
}
