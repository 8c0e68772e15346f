import { NO_COMPUTE } from "../core/cost.ts";
import type { Job } from "../core/job.ts";

/** A job as stored, also by an earlier version: what that did not know yet gets its default here and nowhere else. */
export function parseJob(record: string): Job {
  const job = JSON.parse(record) as Job;
  return { ...NEW_IN_JOBS, ...job, task: { ...NEW_IN_TASKS, ...job.task } };
}

const NEW_IN_JOBS = { compute: NO_COMPUTE, formerBases: [], update: null, notes: [] };

const NEW_IN_TASKS = { forbidden: [], timeoutMinutes: null, maxUsd: null };
