import { guessDirection } from "../../core/experiments/direction.ts";
import type { Direction } from "../../core/run-task.ts";
import { toNumber } from "../../core/series.ts";
import type { JobView } from "../../views/job-view.ts";
import { type Entry, jobEntry } from "./entry.ts";

/** Names of the metrics of jobs: those that most of them have first. */
export function metricsIn(jobs: readonly JobView[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { metrics } of jobs)
    for (const name of Object.keys(metrics)) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).map(([name]) => name);
}

/** The metric `by` places further on, past either end at the other. @param chosen null = none yet */
export function nextMetric(names: readonly string[], chosen: string | null, by: number): string | null {
  if (names.length === 0) return null;
  const at = chosen === null ? -1 : names.indexOf(chosen);
  if (at < 0) return names[0] as string;
  return names[(((at + by) % names.length) + names.length) % names.length] as string;
}

/** @param known what was said of the metric where it was measured; null = nothing */
export const directionOf = (metric: string, known: Direction | null): Direction | null =>
  known ?? guessDirection(metric);

/**
 * Jobs by their latest number in a metric: the best is first, the largest where nobody says which is better. What is not a
 * number comes after all numbers, and jobs without one come last, in the order of their start.
 */
export function rank(jobs: readonly JobView[], metric: string | null, direction: Direction | null): readonly Entry[] {
  const numbers = new Map(jobs.map((job) => [job.id, numberOf(job, metric)]));
  const of = (job: JobView) => numbers.get(job.id) as number;
  const has = (job: JobView) => metric !== null && Object.hasOwn(job.metrics, metric);
  const sign = direction === "min" ? 1 : -1;
  const ranked = jobs.filter(has).sort((a, b) => compare(of(a), of(b), sign));
  const others = jobs.filter((job) => !has(job));
  let place = 0;
  const placed = ranked.map((job, at): Entry => {
    const before = ranked[at - 1];
    if (!before || of(before) !== of(job)) place = at + 1;
    return { ...jobEntry(job), rank: Number.isNaN(of(job)) ? null : place };
  });
  if (others.length === 0) return placed;
  const title = metric === null ? "No job has reported a number yet" : "Without this metric";
  return [...placed, { kind: "heading", key: "heading:others", title, count: others.length }, ...others.map(jobEntry)];
}

function numberOf({ metrics }: JobView, metric: string | null): number {
  const found = metric !== null && Object.hasOwn(metrics, metric) ? metrics[metric] : undefined;
  return found === undefined ? Number.NaN : toNumber(found.value);
}

function compare(a: number, b: number, sign: 1 | -1): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a === b ? 0 : a < b ? -sign : sign;
}
