import { gpuCount } from "./gpu-totals.ts";
import type { JobView } from "./job-view.ts";

/** GPUs that jobs held from `at` on, and how many of them were at work, by the mean of each job. */
export interface Step {
  readonly at: number;
  readonly used: number;
  readonly busy: number;
}

type GpuJob = Pick<
  JobView,
  "createdAt" | "startedAt" | "endedAt" | "state" | "gpu" | "gpuUse" | "commandGpus" | "gpuOfCommand"
>;

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
  // Clocks of two machines may differ: nothing ends before it began.
  const end = job.endedAt === undefined ? null : Math.max(Date.parse(job.createdAt), Date.parse(job.endedAt));
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
