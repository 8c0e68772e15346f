import type { Job, Metric } from "../../core/job.ts";
import { compareSources, withMetric } from "../../core/metric-source.ts";
import { declaredMetrics } from "../../core/run-task.ts";
import { JobSeries, type MetricPoint, type Point, type Series, type SeriesRecord } from "../../core/series.ts";
import type { Clock } from "../../shared/clock.ts";
import type { SeriesStore } from "../store/series-store.ts";

/** What the jobs of a session report over time. What is new goes to the store with the next change of the job. */
export interface SessionSeries {
  of(jobID: string): Series;
  /** The points of one metric. */
  points(jobID: string, metric: string): readonly Point[];
  /** @returns the names of metrics that are not kept, because the job has too many */
  add(job: Job, points: readonly MetricPoint[]): readonly string[];
  /** The job begins again, perhaps from a checkpoint: what it reports again takes the place of what it reported before. */
  restart(job: Job): void;
  /** What is not stored yet; null = nothing. */
  unsaved(jobID: string): UnsavedSeries | null;
  /** All of the job is stored. @param isEnded nothing follows */
  saved(jobID: string, isEnded: boolean): void;
  /** Jobs of which something is not stored yet. */
  unsavedJobs(): readonly string[];
}

export interface UnsavedSeries {
  readonly records: ReadonlyMap<string, SeriesRecord>;
  /** The job with its latest values. */
  apply(job: Job): Job;
}

interface Live {
  readonly series: JobSeries;
  /** The latest of each metric that has changed, of the strongest source. */
  readonly changed: Map<string, Point>;
  savedAt: number;
  cancelSave: (() => void) | null;
}

/** A job's series are stored at most so often while it runs. */
const SAVE_EVERY_MS = 1_000;

/** @param save changes the job in no other way than by what is unsaved */
export function createSessionSeries(store: SeriesStore, clock: Clock, save: (jobID: string) => void): SessionSeries {
  /** Of jobs that this process has heard points of, until they end. */
  const live = new Map<string, Live>();

  function open(job: Job): Live {
    const known = live.get(job.id);
    if (known) return known;
    const { run } = job.task;
    const series = new JobSeries(run?.stop?.rungs ?? [], store.seriesOf(job.id), run ? declaredMetrics(run) : []);
    const opened = { series, changed: new Map(), savedAt: Number.NEGATIVE_INFINITY, cancelSave: null };
    live.set(job.id, opened);
    return opened;
  }

  function saveSoon(jobID: string, one: Live): void {
    if (one.cancelSave || one.changed.size === 0) return;
    const waitMs = one.savedAt + SAVE_EVERY_MS - clock.now();
    if (waitMs <= 0) {
      save(jobID);
      return;
    }
    one.cancelSave = clock.after(waitMs, () => {
      one.cancelSave = null;
      save(jobID);
    });
  }

  return {
    of: (jobID) =>
      live.get(jobID)?.series.all() ?? new Map([...store.seriesOf(jobID)].map(([name, { points }]) => [name, points])),
    points: (jobID, metric) =>
      live.get(jobID)?.series.points(metric) ?? store.seriesOfMetric(jobID, metric)?.points ?? [],
    add(job, points) {
      const one = open(job);
      const refused = new Set<string>();
      for (const point of points) {
        const kept = one.series.add(point);
        const before = one.changed.get(point.name);
        if (!kept) refused.add(point.name);
        else if (!before || compareSources(kept.source, before.source) >= 0) one.changed.set(point.name, kept);
      }
      saveSoon(job.id, one);
      return [...refused];
    },
    restart(job) {
      // Another process may have written them since.
      if (!live.get(job.id)?.changed.size) live.delete(job.id);
      open(job).series.restart();
    },
    unsaved(jobID) {
      const one = live.get(jobID);
      if (!one || one.changed.size === 0) return null;
      const names = [...one.changed.keys()];
      return {
        records: new Map(
          names.flatMap((name) => {
            const record = one.series.record(name);
            return record ? [[name, record] as const] : [];
          }),
        ),
        apply: (job) => ({
          ...job,
          metrics: [...one.changed].reduce((all, [name, point]) => withMetric(all, name, toMetric(point)), job.metrics),
        }),
      };
    },
    saved(jobID, isEnded) {
      const one = live.get(jobID);
      if (!one) return;
      one.cancelSave?.();
      one.cancelSave = null;
      one.changed.clear();
      one.savedAt = clock.now();
      if (isEnded) live.delete(jobID);
    },
    unsavedJobs: () => [...live].filter(([, { changed }]) => changed.size > 0).map(([jobID]) => jobID),
  };
}

const toMetric = ({ value, step, at, source }: Point): Metric => ({
  value,
  ...(step !== undefined && { step }),
  at: new Date(at).toISOString(),
  source,
});
