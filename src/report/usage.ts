import { gpusOf } from "../config/gpu.ts";
import type { Experiment } from "../core/experiments/experiment.ts";
import { isEnded, type Job } from "../core/job.ts";

/** An experiment of the project, whichever session made it. */
export interface ProjectExperiment {
  readonly experiment: Experiment;
  readonly session: string;
  readonly branch: string | null;
}

/** What git says of the branches that jobs' changes were collected as. */
export interface Branches {
  /** By job. */
  readonly of: ReadonlyMap<string, Branch>;
}

export interface Branch {
  readonly name: string;
  /** Whether all its changes are in the commit that is checked out now, by its own commits or by copies of them. */
  readonly isMerged: boolean;
}

/** What use was made of a session's jobs. null = not known. */
export interface Usage {
  /** Jobs whose changes were collected as a branch, and those of them that are merged or whose branch is gone. */
  readonly branches: { readonly collected: number; readonly merged: number | null; readonly gone: number | null };
  /** Seconds from the moment a job left the queue, over the jobs of which it is known. */
  readonly toFirstReply: Spread | null;
  readonly toFirstCommand: Spread | null;
  /** GPU-seconds that jobs held GPUs for, and in which their work ran on them. */
  readonly gpu: { readonly heldSeconds: number; readonly workedSeconds: number; readonly share: number } | null;
}

export interface Spread {
  readonly n: number;
  readonly median: number;
  readonly longest: number;
}

export function usageOf(
  jobs: readonly Job[],
  experiments: readonly ProjectExperiment[],
  branches: Branches | null,
  now: number,
): Usage {
  const kept = new Map(experiments.map((one) => [one.experiment.job, one]));
  const found = jobs.flatMap(({ id }) => branches?.of.get(id) ?? []);
  const recorded = jobs.filter(({ id }) => (kept.get(id)?.branch ?? null) !== null && !branches?.of.has(id));
  return {
    branches: {
      collected: found.length + recorded.length,
      merged: branches && found.filter(({ isMerged }) => isMerged).length,
      gone: branches && recorded.length,
    },
    toFirstReply: spread(jobs.flatMap(({ startedAt, firstReplyAt }) => between(startedAt, firstReplyAt))),
    toFirstCommand: spread(jobs.flatMap(({ startedAt, firstCommandAt }) => between(startedAt, firstCommandAt))),
    gpu: gpuUse(jobs, kept, now),
  };
}

const between = (from: number | null, to: number | null | undefined): number[] =>
  from === null || to == null || to < from ? [] : [(to - from) / 1000];

function spread(seconds: readonly number[]): Spread | null {
  if (seconds.length === 0) return null;
  const sorted = [...seconds].sort((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? 0;
  const half = sorted.length / 2;
  return {
    n: sorted.length,
    median: (at(Math.floor(half)) + at(Math.ceil(half) - 1)) / 2,
    longest: at(sorted.length - 1),
  };
}

/** How much of the time in which jobs held GPUs their work ran; how busy the devices were then nobody measures. */
function gpuUse(jobs: readonly Job[], kept: ReadonlyMap<string, ProjectExperiment>, now: number): Usage["gpu"] {
  let held = 0;
  let worked = 0;
  for (const job of jobs) {
    const experiment = kept.get(job.id)?.experiment;
    const count = gpusOf(job.gpu ?? job.task.gpu)[0]?.count ?? 0;
    if (!experiment || count === 0 || job.startedAt === null || job.attempts > 1) continue;
    const end = isEnded(job.state) ? job.state.since : now;
    const ranMs =
      experiment.ranMs + (experiment.runningSince === null ? 0 : Math.max(0, end - experiment.runningSince));
    held += (count * Math.max(0, end - job.startedAt)) / 1000;
    worked += (count * Math.min(ranMs, Math.max(0, end - job.startedAt))) / 1000;
  }
  return held === 0 ? null : { heldSeconds: held, workedSeconds: worked, share: worked / held };
}
