import type { Experiment } from "../core/experiments/experiment.ts";
import type { MetricValue, Params } from "../core/run-task.ts";
import { positionOf, reportedOf, type SeriesRecord } from "../core/series.ts";
import type { ExperimentRow, MeasuredRow } from "../jobs/store/experiment-rows.ts";
import { oneLine } from "../shared/plain-text.ts";

/** An experiment as trackers of experiments know one: no prompt, no command, no output and no path of its files. */
export interface TrackedRun {
  readonly job: string;
  readonly name: string;
  readonly params: Params;
  readonly facts: Readonly<Record<string, string>>;
  readonly state: Experiment["state"];
  /** Epoch ms. */
  readonly createdAt: number;
  readonly endedAt: number | null;
  /** In the order in which they came. */
  readonly values: readonly TrackedValue[];
  /** Values that its job reported over steps, and those of them that are kept, which alone can be sent. */
  readonly reported: number;
  readonly kept: number;
}

export interface TrackedValue {
  /** The source and the metric, as numbers of different sources are not to be compared. */
  readonly key: string;
  readonly step: number;
  readonly value: MetricValue;
  readonly at: number;
  /** Tells apart values of one moment. */
  readonly report: number;
}

/** @param seriesOf the steps of a job's metrics; empty where its session is gone, and its latest values stand for them */
export function toTrackedRun(
  { experiment, session, measured }: ExperimentRow,
  seriesOf: (session: string, job: string) => ReadonlyMap<string, SeriesRecord>,
): TrackedRun {
  const { job, description, params, seed, environment, image, provider, parent, baseHead, usd, gpuSeconds } =
    experiment;
  const series = seriesOf(session, job);
  const own = [...series].flatMap(([metric, { points }]) => {
    // Where the clock was set back, a later value has the time of the one before: by its own it would pass for sent.
    let newest = Number.NEGATIVE_INFINITY;
    return points.map((point) => {
      newest = Math.max(newest, point.at);
      return {
        ...toValue(point.source, metric, point.value, newest),
        step: positionOf(point),
        report: point.report,
      };
    });
  });
  const latest = experiment.results
    .filter(({ metric }) => !series.has(metric))
    .map(({ source, metric, value, at, step }) => ({
      ...toValue(source, metric, value, Date.parse(at)),
      step: step ?? 0,
    }));
  const known = { job, session, seed, environment, image, provider, parent, commit: baseHead, gpu: experiment.devices[0] ?? experiment.gpu, usd: String(usd), gpu_seconds: String(gpuSeconds) }; // biome-ignore format: one line
  return {
    job,
    name: `${oneLine(description, 100)} ${job}`,
    params,
    facts: Object.fromEntries(Object.entries(known).flatMap(([name, value]) => (value === null ? [] : [[name, oneLine(value, 200)]]))), // biome-ignore format: one line
    state: experiment.state,
    createdAt: experiment.createdAt,
    endedAt: experiment.endedAt,
    values: [...own, ...latest, ...toRepeats(measured)].sort((a, b) => a.at - b.at || a.report - b.report),
    reported: [...series.values()].reduce((sum, record) => sum + reportedOf(record), 0),
    kept: own.length,
  };
}

/**
 * What benchmarks measured, in the order in which they did. A repeat's step is its number, and the numbers go on where the
 * job is measured once more, under other conditions or anew: trackers take the value with the highest step for the latest.
 */
function toRepeats(measured: readonly MeasuredRow[]): TrackedValue[] {
  const measurements = new Map<string, { conditions: string; seeds: Set<number>; after: number; highest: number }>();
  return [...measured]
    .sort((a, b) => a.at - b.at || a.seed - b.seed)
    .flatMap(({ source, bench, turns, seed, at, values }) =>
      values.map(([metric, value]) => {
        const tracked = toValue(source, metric, value, at);
        const conditions = `${bench} ${turns}`;
        const former = measurements.get(tracked.key);
        const isSame = former?.conditions === conditions && !former.seeds.has(seed);
        const highest = former?.highest ?? 0;
        const current = isSame ? former : { conditions, seeds: new Set<number>(), after: highest, highest };
        const step = current.after + seed;
        current.seeds.add(seed);
        current.highest = Math.max(highest, step);
        measurements.set(tracked.key, current);
        return { ...tracked, step, report: step };
      }),
    );
}

/** Trackers count steps in whole numbers of 64 bits; a job may print any. */
export const toStep = (step: number): number =>
  Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Math.trunc(step))) || 0;

const toValue = (source: string, metric: string, value: MetricValue, at: number): TrackedValue => ({
  key: `${source}/${oneLine(metric, 64)}`,
  step: 0,
  value,
  at: Number.isFinite(at) ? at : 0,
  report: 0,
});
