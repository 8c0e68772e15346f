import type { MetricValue } from "../run-task.ts";
import { toNumber } from "../series.ts";
import type { Standing } from "./experiment.ts";
import { type Summary, summarize } from "./noise.ts";

/** One value of one job of an experiment. */
export interface ScoredValue {
  readonly job: string;
  readonly value: MetricValue;
  readonly standing: Standing;
  /** Of the job; null = it has none. */
  readonly seed: string | null;
}

export interface Score extends Summary {
  readonly standing: Standing;
  /** Jobs whose values count. */
  readonly jobs: number;
}

/** From what counts most. */
export const BY_STANDING: readonly Standing[] = ["final", "outdated", "running", "stopped", "failed"];

/**
 * The number of an experiment: over its jobs, or over the measurements of its only job. Values that are final count alone
 * where there are any, and of jobs with the same seed the newest, because repeating a seed measures no other one.
 * @param values newest job first
 */
export function scoreOf(values: readonly ScoredValue[]): Score | null {
  const standing = BY_STANDING.find((one) => values.some((value) => value.standing === one));
  if (standing === undefined) return null;
  const byJob = new Map<string, ScoredValue[]>();
  for (const value of values)
    if (value.standing === standing) byJob.set(value.job, [...(byJob.get(value.job) ?? []), value]);
  const seeds = new Set<string>();
  const jobs = [...byJob.values()].filter(([first]) => {
    if (!first || first.seed === null) return true;
    const isNew = !seeds.has(first.seed);
    seeds.add(first.seed);
    return isNew;
  });
  const [only] = jobs;
  const means = jobs.flatMap((own) => summarize(own.map(({ value }) => value))?.mean ?? []);
  const summary = summarize(jobs.length === 1 && only ? only.map(({ value }) => value) : means);
  return summary && { ...summary, standing, jobs: jobs.length };
}

/** For a column that is sorted by: null for what is no number. */
export const finiteOrNull = (value: MetricValue): number | null =>
  Number.isFinite(toNumber(value)) ? toNumber(value) : null;
