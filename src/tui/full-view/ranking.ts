import { guessDirection } from "../../core/experiments/direction.ts";
import { compareSources } from "../../core/metric-source.ts";
import type { Direction, MetricSource } from "../../core/run-task.ts";
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
 * Jobs by their number in a metric, as experiments are ranked: of those that are completed and were measured in the strongest
 * way that one of them was, the best is first, the largest where nobody says which is better. What is not a number comes after
 * all numbers. All others come below, under the reason why they have no place, those without a number last.
 * @param all jobs of the session, shown or not: what is left out changes no place
 */
export function rank(
  jobs: readonly JobView[],
  all: readonly JobView[],
  metric: string | null,
  direction: Direction | null,
): readonly Entry[] {
  const strongest = strongestSource(all, metric);
  const sign = direction === "min" ? 1 : -1;
  const parts = new Map<string, JobView[]>(TITLES.map((title) => [title, []]));
  for (const job of jobs) parts.get(titleOf(job, metric, strongest))?.push(job);
  const sorted = (part: readonly JobView[]) =>
    [...part].sort((a, b) => compare(numberOf(a, metric), numberOf(b, metric), sign));
  let [place, before] = [0, Number.NaN];
  const placed = sorted(parts.get(RANKED) as JobView[]).map((job, at): Entry => {
    const own = numberOf(job, metric);
    if (own !== before) place = at + 1;
    before = own;
    return { ...jobEntry(job), rank: Number.isNaN(own) ? null : place };
  });
  parts.delete(RANKED);
  const others = [...parts].filter(([, part]) => part.length > 0);
  return [
    ...placed,
    ...others.flatMap(([title, part]): readonly Entry[] => [
      { kind: "heading", key: `heading:${title}`, title, count: part.length },
      ...sorted(part).map(jobEntry),
    ]),
  ];
}

const [RANKED, WITHOUT, NONE] = ["", "Without this metric", "No job has reported a number yet"];
const WEAKER: Readonly<Record<MetricSource, string>> = {
  clean: RANKED,
  snapshot: "Not ranked: measured in the job's own files",
  output: "Not ranked: printed by the job, measured by nobody else",
  reported: "Not ranked: only claimed",
};
const [RUNNING, STOPPED, FAILED] = [
  "Not ranked: not ended",
  "Not ranked: stopped early",
  "Not ranked: failed or cancelled",
];
const TITLES = [RANKED, WEAKER.snapshot, WEAKER.output, WEAKER.reported, RUNNING, STOPPED, FAILED, WITHOUT, NONE];

function titleOf(job: JobView, metric: string | null, strongest: MetricSource | null): string {
  if (metric === null) return NONE;
  const found = metricOf(job, metric);
  if (!found) return WITHOUT;
  if (job.state === "completed") return found.source === strongest ? RANKED : WEAKER[found.source];
  if (job.stopped) return STOPPED;
  return job.endedAt === undefined ? RUNNING : FAILED;
}

const strongestSource = (jobs: readonly JobView[], metric: string | null): MetricSource | null =>
  jobs
    .flatMap((job) => (job.state === "completed" ? (metricOf(job, metric)?.source ?? []) : []))
    .sort(compareSources)
    .at(-1) ?? null;

const metricOf = ({ metrics }: JobView, metric: string | null) =>
  metric !== null && Object.hasOwn(metrics, metric) ? metrics[metric] : undefined;

function numberOf(job: JobView, metric: string | null): number {
  const found = metricOf(job, metric);
  return found === undefined ? Number.NaN : toNumber(found.value);
}

function compare(a: number, b: number, sign: 1 | -1): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a === b ? 0 : a < b ? -sign : sign;
}
