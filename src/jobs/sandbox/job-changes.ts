import type { Job } from "../../core/job.ts";
import { withoutSandbox } from "../../core/without-sandbox.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import { type BuiltCommits, buildCommits } from "../../workspace/collect/build-commits.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";
import { identityOf } from "../../workspace/project/identity.ts";
import type { ProjectStore } from "../../workspace/project/project-store.ts";
import { type JobChanges, readChanges } from "../../workspace/project/stored-changes.ts";
import { fetchChanges } from "../../workspace/sandbox/fetch-changes.ts";
import type { ProjectTrees } from "../project/trees.ts";
import { findJob } from "../session/find-jobs.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { FilesSource, JobFiles } from "./job-files.ts";

export interface ChangesDeps {
  readonly trees: Pick<ProjectTrees, "store">;
  readonly jobFiles: JobFiles;
  readonly clock: Clock;
  readonly ids: IdGenerator;
}

/** A job whose changes can be computed, because the files it started from are known. */
export interface BasedJob {
  readonly store: ProjectStore;
  readonly base: TreeBase;
  readonly formerBases: readonly TreeBase[];
  readonly jobID: string;
}

/** @throws PluginError `collect_failed` */
export async function requireBase(deps: ChangesDeps, job: Job): Promise<BasedJob> {
  const store = await deps.trees.store();
  const { base, formerBases, id: jobID } = job;
  if (store && base?.project === store.root) return { store, base, formerBases, jobID };
  const early = base ? null : withoutSandbox(job);
  const why = base
    ? `it started from the project ${base.project}; collect it from there`
    : (early?.why ??
      'it did not start from a project\'s files, so there is no base to tell changes by; take its files with mode "files"');
  throw new PluginError("collect_failed", `Could not collect the changes of ${job.id}: ${why}.`, {
    retryable: early?.retryable ?? false,
  });
}

/** A job's changes, with the files it started from as they were recorded when the changes were read. */
export interface JobWork {
  readonly based: BasedJob;
  readonly work: JobChanges;
  readonly source: FilesSource;
  /** The job's work directory, absolute; null where an earlier version has not kept it. */
  readonly workdir: string | null;
}

/**
 * Reads a job's changes: from its live sandbox, else those kept when the sandbox was parked, else from its newest snapshot.
 * @throws PluginError `collect_failed`, and what making a sandbox may throw
 */
export function currentWork(deps: ChangesDeps, sessionJobs: SessionJobs, jobID: string): Promise<JobWork> {
  // Looked up now that nothing else is done to the job: it may have waited for an update of the job's files.
  const basedNow = () => requireBase(deps, findJob(sessionJobs, jobID));
  return deps.jobFiles.read<JobWork>(sessionJobs, jobID, {
    async kept() {
      const based = await basedNow();
      const work = await readChanges(based.store, jobID);
      const workdir = findJob(sessionJobs, jobID).briefing?.workdir ?? null;
      return work && { based, work, source: { kind: "sandbox" }, workdir };
    },
    async use(sandbox, source) {
      const based = await basedNow();
      const work = await fetchChanges({ ...based, sandbox, clock: deps.clock, scratchID: deps.ids("work") });
      return { based, work, source, workdir: sandbox.workdir };
    },
  });
}

export async function buildWork(deps: ChangesDeps, job: BasedJob, work: JobChanges): Promise<BuiltCommits> {
  const identity = await identityOf(job.store);
  return buildCommits({ ...job, base: baseOf(job, work), changes: work, scratchID: deps.ids("build"), identity });
}

/** The base that the changes are against: a former one when the files come from a snapshot older than the last update. */
export function baseOf({ base, formerBases }: BasedJob, work: JobChanges): TreeBase {
  return [base, ...formerBases].find(({ commit }) => commit === work.base) ?? base;
}
