import { toProcessName } from "../shared/process-identity.ts";
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

/**
 * Tags of a sandbox with GPUs that this process makes for single commands of a job.
 * @param usdPerHour what it costs at most: a process that dies while it is made has recorded nothing of it
 */
export const toBurstTags = (job: Owner, identity: string, usdPerHour: number): Record<string, string> => ({
  ...toTags(job, identity),
  burst: toProcessName(""),
  ...toCostTags(usdPerHour),
});

/**
 * Tags by which a sandbox that this process makes is charged for even if the process dies before it has recorded it.
 * @param usdPerHour what it costs at most
 */
export const toCostTags = (usdPerHour: number): Record<string, string> => ({
  usd_per_hour: String(usdPerHour),
  maker: toProcessName(""),
});

/** What a sandbox costs at most, as its tags say, USD per hour; 0 where they do not. */
export const rateOf = (tags: Readonly<Record<string, string>>): number => Number(tags.usd_per_hour) || 0;

/** Tags of a sandbox that this process makes to read a job's files, and terminates afterwards. No job names it. */
export const toReaderTags = (job: Owner, identity: string): Record<string, string> => ({
  ...toTags(job, identity),
  reader: toProcessName(""),
});
