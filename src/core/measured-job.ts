import { nameList } from "../shared/plain-text.ts";
import { summarize } from "./experiments/noise.ts";
import { isEnded, type Job, type Metric } from "./job.ts";
import type { MeasuredNumbers } from "./measured-value.ts";
import { callOf } from "./run-groups.ts";

/** The metrics of a run that has measured: those of the benchmark. Others that it printed are not. */
export function withMeasured({ task, metrics }: Job, { value, others }: MeasuredNumbers, at: string): Job["metrics"] {
  const { measures } = task.run ?? {};
  if (!measures) return metrics;
  const all = [...others, [measures.metric, value] as const];
  return Object.fromEntries(all.map(([name, value]) => [name, { value, at, source: measures.setting }]));
}

/**
 * What a benchmark has measured of a job so far, for the job itself: the mean over the repeats of one call that have
 * brought a number.
 * @param run one of the repeats
 * @returns null if it brought none
 */
export function measuredMetric(run: Job, all: readonly Job[]): Metric | null {
  const own = run.task.run?.measures;
  if (!own) return null;
  const repeats = all.filter((job) => {
    const measures = job.task.run?.measures;
    return (
      measures?.jobID === own.jobID &&
      measures.metric === own.metric &&
      measures.setting === own.setting &&
      callOf(job) === callOf(run) &&
      isEnded(job.state)
    );
  });
  const metrics = repeats.flatMap(({ metrics, state }) => {
    const metric = Object.hasOwn(metrics, own.metric) ? metrics[own.metric] : undefined;
    return state.kind === "completed" && metric?.source === own.setting ? [metric] : [];
  });
  const newest = metrics
    .map(({ at }) => at)
    .sort()
    .at(-1);
  const mean = summarize(metrics.map(({ value }) => value))?.mean;
  if (newest === undefined || mean === undefined) return null;
  return { value: mean, at: newest, source: own.setting, ...(own.turns !== null && { turns: own.turns }) };
}

/** Says which numbers of a job were measured before its latest turn, in which its files may have changed. */
export function outdatedNotes({ metrics, turns }: Pick<Job, "metrics" | "turns">): string[] {
  const old = Object.entries(metrics).filter(([, metric]) => metric.turns !== undefined && metric.turns < turns);
  if (old.length === 0) return [];
  const names = nameList(old.map(([name]) => name));
  return [
    `Measured before a message woke it: ${names}. Its files may have changed since, so this is no number of what it has now; measure it again with experiments_score.`,
  ];
}
