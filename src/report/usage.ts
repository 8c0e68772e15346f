import type { Experiment } from "../core/experiments/experiment.ts";
import type { Job } from "../core/job.ts";
import type { GpuTotals } from "../views/gpu-totals.ts";

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
  /** null = no job held a GPU. */
  readonly gpu: GpuTotals | null;
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
  gpu: GpuTotals | null,
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
    gpu,
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
