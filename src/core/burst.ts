import { formatGpu, type GpuRequest, gpusOf } from "../config/gpu.ts";
import type { Burst, GpuSpan } from "./burst-state.ts";
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

/**
 * The job whose burst has ended, or will not be: its cost is settled. One whose end nobody saw counts no longer than its
 * sandbox could live.
 */
export function withoutBurst(job: Job, now: number): Job {
  const { burst } = job;
  if (!burst && !job.compute.burst) return job;
  const held = burst ? spanOf(burst, Math.min(now, job.compute.burst?.until ?? now)) : null;
  return {
    ...job,
    burst: null,
    compute: settleBurst(job.compute, now),
    ...(held && held.to > held.from && { formerBursts: withSpan(job.formerBursts ?? [], held) }),
  };
}

/** Seconds for which GPUs were held for single commands of the job, those held now included. */
export function burstGpuSeconds({ burst, formerBursts = [] }: Job, now: number): number {
  const held = burst ? spanOf(burst, now) : null;
  return [...formerBursts, ...(held ? [held] : [])].reduce(
    (sum, { from, to, gpus }) => sum + (gpus * (to - from)) / 1000,
    0,
  );
}

/** The time for which the burst has held GPUs; null = it has none yet. */
export const spanOf = ({ gpu, since }: Burst, now: number): GpuSpan | null =>
  since === null ? null : { from: since, to: Math.max(since, now), gpus: countOf(gpu) };

/** A job's record is written again with every change. */
const MOST_SPANS = 50;

/** Adds a time. Of too many the two closest neighbours become one, with as many GPU-seconds as both. */
function withSpan(spans: readonly GpuSpan[], span: GpuSpan): GpuSpan[] {
  const all = [...spans, span];
  if (all.length <= MOST_SPANS) return all;
  let at = 1;
  for (const [index, { from }] of all.entries()) {
    const gap = from - (all[index - 1]?.to ?? Number.NEGATIVE_INFINITY);
    if (gap < (all[at]?.from ?? 0) - (all[at - 1]?.to ?? 0)) at = index;
  }
  const [one, two] = all.slice(at - 1, at + 1) as [GpuSpan, GpuSpan];
  const seconds = (each: GpuSpan) => each.gpus * (each.to - each.from);
  const joined = { from: one.from, to: two.to, gpus: (seconds(one) + seconds(two)) / Math.max(1, two.to - one.from) };
  return [...all.slice(0, at - 1), joined, ...all.slice(at + 1)];
}

const countOf = (gpu: string): number => gpusOf(gpu)[0]?.count ?? 0;

/** Whether GPUs of one kind do for a command that asks for others. */
export const isEnough = (held: GpuRequest, wanted: readonly GpuRequest[]): boolean =>
  wanted.some((one) => formatGpu(one) === formatGpu(held) || (isSameType(one, held) && one.count <= held.count));

const isSameType = (wanted: GpuRequest, held: GpuRequest): boolean =>
  (wanted.type === held.type || wanted.type === "any") && (!wanted.exact || held.exact);
