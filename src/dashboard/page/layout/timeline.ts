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

/** GPUs that jobs held from `at` on, and how many of them were at work, by the mean of each job. */
export interface Step {
  readonly at: number;
  readonly used: number;
  readonly busy: number;
}

type GpuJob = Times & Pick<ListedJob, "gpuUse" | "commandGpus" | "gpuOfCommand">;

interface Held {
  readonly gpus: number;
  readonly busy: number;
  readonly start: number;
  /** null = it holds them still. */
  readonly end: number | null;
}

/** Of thousands of jobs nearly all are as they were at the last look. */
const known = new WeakMap<GpuJob, readonly Held[]>();

/** What its own sandbox held, and what its commands did. */
function heldBy(job: GpuJob): readonly Held[] {
  const found = known.get(job);
  if (found) return found;
  const share = (job.gpuUse?.utilization ?? 0) / 100;
  const toHeld = (gpus: number, start: number, end: number | null) => ({ gpus, busy: gpus * share, start, end });
  const gpus = job.gpuOfCommand ? 0 : gpuCount(job.gpu);
  const hasOwn = gpus > 0 && job.startedAt !== undefined && job.state !== "interrupted";
  const end = job.endedAt === undefined ? null : endOf(job, 0);
  const held = [
    ...(hasOwn ? [toHeld(gpus, Date.parse(job.startedAt), end)] : []),
    ...(job.commandGpus ?? []).map((span) =>
      toHeld(span.gpus, Date.parse(span.from), span.to === undefined ? end : Date.parse(span.to)),
    ),
  ];
  known.set(job, held);
  return held;
}

/** GPUs that a session's jobs held over time: from their start to their end, and for their single commands. */
export function gpuSteps(jobs: Iterable<GpuJob>, now: number): Step[] {
  const changes: Step[] = [];
  for (const job of jobs) {
    for (const { start, end, gpus, busy } of heldBy(job)) {
      const until = end ?? Math.max(now, Date.parse(job.createdAt));
      if (start >= until) continue;
      changes.push({ at: start, used: gpus, busy }, { at: until, used: -gpus, busy: -busy });
    }
  }
  changes.sort((a, b) => a.at - b.at);
  const steps: Step[] = [];
  let [used, busy] = [0, 0];
  for (const [index, change] of changes.entries()) {
    used += change.used;
    busy = used === 0 ? 0 : busy + change.busy; // sums of fractions leave something
    if (changes[index + 1]?.at !== change.at) steps.push({ at: change.at, used, busy });
  }
  return steps;
}

/** The same with at most about `most` steps, each the mean of those in its part of the time: more than can be seen apart. */
export function thinSteps(steps: readonly Step[], most: number): readonly Step[] {
  const [first, last] = [steps[0], steps.at(-1)];
  if (!first || !last || steps.length <= most) return steps;
  const size = (last.at - first.at) / most;
  const thin: Step[] = [];
  let [from, used, busy] = [first.at, 0, 0];
  for (const [index, step] of steps.entries()) {
    const next = steps[index + 1];
    if (!next) break;
    used += step.used * (next.at - step.at);
    busy += step.busy * (next.at - step.at);
    if (next.at - from < size && next !== last) continue;
    thin.push({ at: from, used: used / (next.at - from), busy: busy / (next.at - from) });
    [from, used, busy] = [next.at, 0, 0];
  }
  return [...thin, last];
}
