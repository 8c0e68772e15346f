import { formatGpu, type GpuRequest, gpusOf } from "../config/gpu.ts";
import { settleBurst } from "./cost.ts";
import type { Job } from "./job.ts";

/*
 * A burst is a command of a job that runs in a sandbox of its own, which has GPUs and the job's files. The sandbox stays for
 * the next one for a while. It is recorded, so that it is known after the death of its process.
 */

/** Who holds the GPUs of a job's bursts in the pool: the job itself may hold others. */
const SUFFIX = "+burst";
export const burstHolder = (jobID: string): string => `${jobID}${SUFFIX}`;
/** GPUs of a burst need no running slot: its job has one. */
export const isBurstHolder = (holder: string): boolean => holder.endsWith(SUFFIX);

/** The job whose burst has ended, or will not be: its cost is settled. */
export function withoutBurst(job: Job, now: number): Job {
  const { burst } = job;
  if (!burst && !job.compute.burst) return job;
  const seconds = burst?.since == null ? 0 : (countOf(burst.gpu) * Math.max(0, now - burst.since)) / 1000;
  return {
    ...job,
    burst: null,
    compute: settleBurst(job.compute, now),
    ...(seconds > 0 && { burstGpuSeconds: (job.burstGpuSeconds ?? 0) + seconds }),
  };
}

/** Seconds for which GPUs were held for single commands of the job, those held now included. */
export const burstGpuSeconds = ({ burst, burstGpuSeconds: past = 0 }: Job, now: number): number =>
  past + (burst?.since == null ? 0 : (countOf(burst.gpu) * Math.max(0, now - burst.since)) / 1000);

const countOf = (gpu: string): number => gpusOf(gpu)[0]?.count ?? 0;

/** Whether GPUs of one kind do for a command that asks for others. */
export const isEnough = (held: GpuRequest, wanted: readonly GpuRequest[]): boolean =>
  wanted.some((one) => formatGpu(one) === formatGpu(held) || (isSameType(one, held) && one.count <= held.count));

const isSameType = (wanted: GpuRequest, held: GpuRequest): boolean =>
  (wanted.type === held.type || wanted.type === "any") && (!wanted.exact || held.exact);
