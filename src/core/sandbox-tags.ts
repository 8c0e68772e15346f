import type { Job } from "./job.ts";

/*
 * Tags that say whose a sandbox is, for garbage collection. `lab` names the state directory that records the sandbox:
 * those of other state directories are not ours to judge. The key is older than the code's words and stays, so that
 * sandboxes of earlier versions are still found.
 */

type Owner = Pick<Job, "id" | "orchestrator">;

/** @param identity of the state directory */
export const toTags = (job: Owner, identity: string): Record<string, string> => ({
  job: job.id,
  session: job.orchestrator,
  lab: identity,
});

/** Tags of a sandbox that this process makes to read a job's files, and terminates afterwards. No job names it. */
export const toReaderTags = (job: Owner, identity: string): Record<string, string> => ({
  ...toTags(job, identity),
  reader: String(process.pid),
});
