import type { Metric } from "./job.ts";
import type { MetricSource } from "./run-task.ts";

/*
 * How far numbers can be trusted, by where they come from. A job says what it likes of itself, its output is what its
 * programs print; a benchmark measures what the job left, in the job's own files or in fresh ones.
 */

/** From the weakest to the strongest. */
const BY_STRENGTH: readonly MetricSource[] = ["reported", "output", "snapshot", "clean"];

/** Below 0 where numbers of `a` can be trusted less than those of `b`. */
export const compareSources = (a: MetricSource, b: MetricSource): number =>
  BY_STRENGTH.indexOf(a) - BY_STRENGTH.indexOf(b);

/** A job's metrics with another one: of one name the strongest counts, and of two equally strong ones the later. */
export function withMetric(
  metrics: Readonly<Record<string, Metric>>,
  name: string,
  metric: Metric,
): Readonly<Record<string, Metric>> {
  const known = Object.hasOwn(metrics, name) ? metrics[name] : undefined;
  if (known && compareSources(metric.source, known.source) < 0) return metrics;
  return { ...metrics, ...Object.fromEntries([[name, metric]]) }; // the name may be "__proto__"
}
