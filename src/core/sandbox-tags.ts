import type { Job } from "./job.ts";

/*
 * Tags that say which job a sandbox belongs to, for garbage collection. `lab` is a legacy key, kept so that sandboxes of
 * earlier versions are found: it names the state directory that records the sandbox. Sandboxes of other state directories
 * are left alone.
 */

type Owner = Pick<Job, "id" | "orchestrator">;

/** @param identity of the state directory */
export const toTags = (job: Owner, identity: string): Record<string, string> => ({
  job: job.id,
  session: job.orchestrator,
  lab: identity,
});

/** Tags of a sandbox that is kept ready and is no job's yet. @param warmID of its record */
export const toWarmTags = (warmID: string, identity: string): Record<string, string> => ({
  warm: warmID,
  lab: identity,
});

/** Tags of a sandbox with GPUs that this process makes for single commands of a job. */
export const toBurstTags = (job: Owner, identity: string): Record<string, string> => ({
  ...toTags(job, identity),
  burst: String(process.pid),
});

/** Tags of a sandbox that this process makes to read a job's files, and terminates afterwards. No job names it. */
export const toReaderTags = (job: Owner, identity: string): Record<string, string> => ({
  ...toTags(job, identity),
  reader: String(process.pid),
});
