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
