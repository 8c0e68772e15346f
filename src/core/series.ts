import type { MetricSource, MetricValue } from "./run-task.ts";

/** One value of a metric, as it was reported. */
export interface MetricPoint {
  readonly name: string;
  readonly value: MetricValue;
  readonly step?: number | undefined;
  /** Epoch ms. */
  readonly at: number;
  readonly source: MetricSource;
}

/** A value in the series of its metric. */
export interface Point extends Omit<MetricPoint, "name"> {
  /** Which report of the metric it was, from 1. */
  readonly report: number;
}

/** The points of a job's metrics in the order in which they were reported, by name. */
export type Series = ReadonlyMap<string, readonly Point[]>;

/** The series of one metric as it is stored. */
export interface SeriesRecord {
  readonly points: readonly Point[];
  /** Reports so far, those that are not kept too. */
  readonly reports: number;
  /** Of the reports between the others, one in this number is kept. */
  readonly stride: number;
  /** Reports that were no finite number, as most of them are not kept either; absent where there were none. */
  readonly notFinite?: NotFinite | undefined;
}

export type NotFinite = Readonly<Partial<Record<Extract<MetricValue, string>, number>>>;

/** Metrics of one job; people read a dozen. */
export const MOST_METRICS = 100;
/** Characters of a metric's name. */
export const LONGEST_NAME = 64;
/** Points kept of each metric. */
export const MOST_POINTS = 256;

/** Where a point stands: at its step, or at the number of reports where it has none. */
export const positionOf = ({ step, report }: Point): number => step ?? report;

/** How many values were reported, also before a job began again, whose reports are counted from 1. */
export const reportedOf = ({ points, reports }: SeriesRecord): number =>
  points.reduce((most, { report }) => Math.max(most, report), Math.max(reports, points.length));

export const toNumber = (value: MetricValue): number => Number(value);

/** A number in the spelling of the contract. JSON has no negative zero. */
export const toMetricValue = (value: number): MetricValue =>
  Number.isFinite(value) ? value + 0 : (String(value) as MetricValue);

/**
 * The series of one job. Of a long one it keeps the first point and the last, the smallest and the largest finite value, the
 * first NaN and infinity of either sign, the first at or past each mark, and every second, fourth, eighth … of the others:
 * what is kept depends on the points alone.
 */
export class JobSeries {
  readonly #metrics: Map<string, MetricSeries>;
  readonly #marks: readonly number[];
  readonly #declared: ReadonlySet<string>;

  /**
   * @param marks positions whose points are always kept
   * @param declared metrics that were asked for, which have a place however many others come first
   */
  constructor(
    marks: readonly number[] = [],
    stored: ReadonlyMap<string, SeriesRecord> = new Map(),
    declared: Iterable<string> = [],
  ) {
    this.#marks = marks;
    this.#declared = new Set(declared);
    this.#metrics = new Map([...stored].map(([name, record]) => [name, new MetricSeries(marks, record)]));
  }

  /** @returns the point as kept; null: the job has too many metrics already */
  add({ name, ...point }: MetricPoint): Point | null {
    let metric = this.#metrics.get(name);
    if (!metric) {
      if (!this.#declared.has(name) && this.#undeclared() >= MOST_METRICS - this.#declared.size) return null;
      metric = new MetricSeries(this.#marks);
      this.#metrics.set(name, metric);
    }
    return metric.add(point);
  }

  /**
   * The job begins again. Its reports are counted from 1, and the next point of each metric takes the place of all that
   * stand where it does, or further on.
   */
  restart(): void {
    for (const metric of this.#metrics.values()) metric.restart();
  }

  /** Metrics that nobody asked for. */
  #undeclared(): number {
    let count = this.#metrics.size;
    for (const name of this.#declared) if (this.#metrics.has(name)) count--;
    return count;
  }

  has(name: string): boolean {
    return this.#metrics.has(name);
  }

  latest(name: string): Point | undefined {
    return this.#metrics.get(name)?.points.at(-1);
  }

  names(): readonly string[] {
    return [...this.#metrics.keys()];
  }

  record(name: string): SeriesRecord | undefined {
    return this.#metrics.get(name)?.record();
  }

  points(name: string): readonly Point[] {
    return this.#metrics.get(name)?.points ?? [];
  }

  all(): Series {
    return new Map([...this.#metrics].map(([name, { points }]) => [name, [...points]]));
  }
}

/** Points that are kept whatever their places. */
interface Landmarks {
  first: Point | null;
  smallest: Point | null;
  largest: Point | null;
  /** The first of each kind that is no finite number: a curve without it looks healthy. */
  readonly notFinite: Map<string, Point>;
  /** The first point at or past each mark. */
  readonly atMarks: Map<number, Point>;
}

class MetricSeries {
  points: Point[] = [];
  readonly #marks: readonly number[];
  #landmarks = noLandmarks();
  #reports = 0;
  #stride = 1;
  #notFinite: NotFinite = {};
  #isRestarted = false;

  constructor(marks: readonly number[], stored?: SeriesRecord) {
    this.#marks = marks;
    if (!stored) return;
    this.#reports = stored.reports;
    this.#stride = stored.stride;
    this.#replace(stored.points);
    this.#notFinite = stored.notFinite ?? countNotFinite(stored.points); // earlier versions did not count them
  }

  add(given: Omit<Point, "report">): Point {
    this.#reports++;
    const point: Point = { ...given, report: this.#reports };
    if (this.#isRestarted) {
      this.#isRestarted = false;
      this.#stride = 1; // there may be room again
      this.#replace(this.points.filter((kept) => positionOf(kept) < positionOf(point)));
      this.#notFinite = countNotFinite(this.points);
    }
    this.#note(point);
    if (typeof point.value === "string")
      this.#notFinite = { ...this.#notFinite, [point.value]: (this.#notFinite[point.value] ?? 0) + 1 };
    // The newest point is always kept. The one that was the newest stays only for another reason.
    const former = this.points.at(-1);
    if (former && !this.#isKept(former)) this.points.pop();
    this.points.push(point);
    if (this.points.length > MOST_POINTS) this.#thin(point);
    return point;
  }

  restart(): void {
    this.#reports = 0;
    this.#isRestarted = this.points.length > 0;
  }

  record(): SeriesRecord {
    const counted = { points: [...this.points], reports: this.#reports, stride: this.#stride };
    return Object.keys(this.#notFinite).length === 0 ? counted : { ...counted, notFinite: this.#notFinite };
  }

  #replace(points: readonly Point[]): void {
    this.points = [...points];
    this.#landmarks = noLandmarks();
    for (const point of points) this.#note(point);
  }

  #note(point: Point): void {
    const marked = this.#landmarks;
    const value = toNumber(point.value);
    marked.first ??= point;
    if (!Number.isFinite(value)) {
      if (!marked.notFinite.has(String(value))) marked.notFinite.set(String(value), point);
    } else {
      if (!marked.smallest || value < toNumber(marked.smallest.value)) marked.smallest = point;
      if (!marked.largest || value > toNumber(marked.largest.value)) marked.largest = point;
    }
    for (const mark of this.#marks)
      if (!marked.atMarks.has(mark) && positionOf(point) >= mark) marked.atMarks.set(mark, point);
  }

  #isKept(point: Point): boolean {
    const { first, smallest, largest, notFinite, atMarks } = this.#landmarks;
    if ((point.report - 1) % this.#stride === 0) return true;
    if (point === first || point === smallest || point === largest) return true;
    return point === notFinite.get(String(point.value)) || [...atMarks.values()].includes(point);
  }

  /** Makes room for a quarter of the points, so that this is seldom. */
  #thin(newest: Point): void {
    const drop = () => {
      this.points = this.points.filter((point) => point === newest || this.#isKept(point));
    };
    drop();
    // Points from before the job began again have higher numbers than its newest.
    const highest = Math.max(...this.points.map(({ report }) => report));
    while (this.points.length > MOST_POINTS * 0.75 && this.#stride <= highest) {
      this.#stride *= 2;
      drop();
    }
  }
}

const noLandmarks = (): Landmarks => ({
  ...{ first: null, smallest: null, largest: null },
  ...{ notFinite: new Map(), atMarks: new Map() },
});

export function countNotFinite(points: readonly Point[]): NotFinite {
  const counts: Partial<Record<keyof NotFinite, number>> = {};
  for (const { value } of points) if (typeof value === "string") counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}
