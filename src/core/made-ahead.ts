import type { Job } from "./job.ts";
import { reuseKey } from "./sandbox-reuse.ts";

/**
 * Whether a job's sandbox may be made while the job is still queued: a run's on this machine, where a sandbox costs nothing
 * and holds no slot. Not with GPUs, which are chosen when the job is admitted, nor while the files that it starts from may
 * change.
 */
export const mayBeMadeAhead = (job: Job): boolean => {
  const { run, gpu, snapshotID, source } = job.task;
  const isSettled = snapshotID !== null || source === undefined || source.kind === "image";
  const isOwn = reuseKey(job) === null && job.startedBy === null;
  const isFirst = job.state.kind === "queued" && job.sandbox.kind === "none";
  return job.provider === "local" && run !== null && gpu === null && isFirst && isOwn && isSettled;
};
