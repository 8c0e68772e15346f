import type { MetricValue } from "../../../core/run-task.ts";
import type { NotFinite } from "../../../core/series.ts";

export interface SeriesPoint {
  /** Step, or number of the report. */
  readonly at: number;
  readonly value: MetricValue;
}

/** The values of one job's metric. */
export interface Curve {
  readonly job: string;
  readonly reports: number;
  readonly notFinite: NotFinite;
  readonly points: readonly SeriesPoint[];
}

export interface Bounds {
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

/** Of all values that can be drawn: those that are not finite make a gap. null = there is none. */
export function boundsOf(curves: readonly Curve[]): Bounds | null {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { points } of curves)
    for (const { at, value } of points) {
      const y = Number(value);
      if (!Number.isFinite(y) || !Number.isFinite(at)) continue;
      [left, right] = [Math.min(left, at), Math.max(right, at)];
      [low, high] = [Math.min(low, y), Math.max(high, y)];
    }
  if (left > right) return null;
  return {
    x: left === right ? [left - 1, right + 1] : [left, right],
    y: low === high ? [low - 1, high + 1] : [low, high],
  };
}

/** The jobs whose curves are drawn: those that run now, then the newest ones, up to a limit. */
export function chooseJobs<T extends { readonly id: string; readonly state: string; readonly metrics: object }>(
  jobs: readonly T[],
  metric: string | null,
  most: number,
): T[] {
  const having = jobs.filter(({ metrics }) => metric !== null && Object.hasOwn(metrics, metric)).reverse();
  const running = having.filter(({ state }) => state === "running");
  return [...running, ...having.filter(({ state }) => state !== "running")].slice(0, most);
}

/** A curve to read. */
export interface WantedCurve {
  readonly job: string;
  /** What it is a curve of. */
  readonly of: string;
  /** Changes with every new value. */
  readonly state: string;
}

/** Remembers curves, so that each is read again only when it has a new value. */
export function createKeptCurves() {
  let kept = new Map<string, WantedCurve & { readonly curve: Curve }>();
  return {
    /**
     * @param read rejects where the curve cannot be read now: the last one that is known stands for it
     * @returns also whether all could be read
     */
    async read(wanted: readonly WantedCurve[], read: (job: string) => Promise<Curve>) {
      const found = await Promise.all(
        wanted.map(async (one) => {
          const former = kept.get(one.job);
          const known = former?.of === one.of ? former : undefined;
          if (known?.state === one.state) return known;
          const curve = await read(one.job).catch(() => null);
          return curve ? { ...one, curve } : (known ?? null);
        }),
      );
      const those = found.filter((one) => one !== null);
      kept = new Map(those.map((one) => [one.job, one]));
      const isWhole = found.every((one, index) => one?.state === wanted[index]?.state);
      return { curves: those.map(({ curve }) => curve), isWhole };
    },
  };
}
