import { positionOf, type SeriesRecord, toNumber } from "../../core/series.ts";

const BARS = [..."▁▂▃▄▅▆▇█"];

/**
 * A series over its steps as one row: each column is the mean of the values that were reported in its part of the way.
 * Columns without a value repeat the last one; what is not a finite number is "×".
 */
export function sparkline({ points }: Pick<SeriesRecord, "points">, columns: number): string {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last || columns <= 0) return "";
  const positions = points.map(positionOf);
  const [from, to] = [Math.min(...positions), Math.max(...positions)];
  const width = Math.min(columns, Math.max(points.length, 1));
  const parts: number[][] = Array.from({ length: width }, () => []);
  for (const [at, point] of points.entries()) {
    const share = to === from ? at / points.length : ((positions[at] as number) - from) / (to - from);
    parts[Math.min(width - 1, Math.floor(share * width))]?.push(toNumber(point.value));
  }
  const means = parts.map((values) => (values.length === 0 ? null : mean(values)));
  const finite = means.filter((value) => value !== null && Number.isFinite(value)) as number[];
  const [least, most] = [Math.min(...finite), Math.max(...finite)];
  let shown = "";
  for (const value of means) {
    const former = [...shown].at(-1) ?? "";
    shown += value === null ? former : Number.isFinite(value) ? barOf(value, least, most) : "×";
  }
  return shown;
}

function barOf(value: number, least: number, most: number): string {
  // Halved, because the difference of the largest numbers is none.
  const share = most === least ? 0.5 : (value / 2 - least / 2) / (most / 2 - least / 2);
  return BARS[Math.min(BARS.length - 1, Math.floor(share * BARS.length))] as string;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value / values.length, 0);
