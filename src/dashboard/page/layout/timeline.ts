import { gpuCount } from "../../../views/gpu-totals.ts";
import type { ListedJob } from "../../server/parts.ts";

/** Epoch ms. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Where a job stands on the timeline, as shares of the span. */
export interface Bar {
  /** From when it was asked for until it started. */
  readonly wait: readonly [from: number, to: number];
  /** null = it has not started. */
  readonly run: readonly [from: number, to: number] | null;
}

type Times = Pick<ListedJob, "createdAt" | "startedAt" | "endedAt" | "gpu" | "state">;

const SHORTEST_MS = 10_000;

/** From the first job to the last end, or to now while one is open. */
export function spanOf(jobs: Iterable<Times>, now: number): Span {
  let from = Number.POSITIVE_INFINITY;
  let to = 0;
  for (const job of jobs) {
    from = Math.min(from, Date.parse(job.createdAt));
    to = Math.max(to, endOf(job, now));
  }
  return from > to ? { from: now - SHORTEST_MS, to: now } : { from, to: Math.max(to, from + SHORTEST_MS) };
}

export function toBar(job: Times, { from, to }: Span, now: number): Bar {
  const place = (at: number) => Math.min(1, Math.max(0, (at - from) / (to - from)));
  const end = endOf(job, now);
  const created = Math.min(Date.parse(job.createdAt), end);
  const started = job.startedAt === undefined ? null : Math.min(Math.max(created, Date.parse(job.startedAt)), end);
  return {
    wait: [place(created), place(started ?? end)],
    run: started === null ? null : [place(started), place(end)],
  };
}

/** Clocks of two machines may differ: nothing ends before it began. */
const endOf = (job: Times, now: number): number =>
  Math.max(Date.parse(job.createdAt), job.endedAt === undefined ? now : Date.parse(job.endedAt));

/** GPUs that jobs held from `at` on. */
export interface Step {
  readonly at: number;
  readonly used: number;
}

/** GPUs that a session's jobs held over time: from their start to their end. @param share how much of a job's counts */
export function gpuSteps<J extends Times>(jobs: Iterable<J>, now: number, share: (job: J) => number = () => 1): Step[] {
  const changes = new Map<number, number>();
  const add = (at: number, gpus: number) => changes.set(at, (changes.get(at) ?? 0) + gpus);
  for (const job of jobs) {
    const gpus = gpuCount(job.gpu) * share(job);
    if (gpus === 0 || job.startedAt === undefined || job.state === "interrupted") continue;
    const [start, end] = [Date.parse(job.startedAt), endOf(job, now)];
    if (start >= end) continue;
    add(start, gpus);
    add(end, -gpus);
  }
  let used = 0;
  return [...changes]
    .sort(([a], [b]) => a - b)
    .map(([at, change]) => {
      used += change;
      return { at, used };
    });
}
