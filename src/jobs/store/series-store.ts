import { z } from "zod";
import type { Point, SeriesRecord } from "../../core/series.ts";
import type { Database } from "./database.ts";
import { metricSource, metricValue } from "./job-record.ts";
import { json } from "./rows.ts";

/** The series of the session's jobs, one row for each metric of a job. */
export interface SeriesStore {
  seriesOf(jobID: string): ReadonlyMap<string, SeriesRecord>;
  /** The series of one metric. */
  seriesOfMetric(jobID: string, metric: string): SeriesRecord | undefined;
  saveSeries(jobID: string, records: ReadonlyMap<string, SeriesRecord>): void;
}

export const SERIES_TABLE =
  "series (job TEXT NOT NULL, metric TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (job, metric))";

/** Short, because it is written every second while a job runs. */
const storedPoint = z
  .tuple([metricValue, z.number().nullable(), z.number(), metricSource, z.number()])
  .transform(
    ([value, step, at, source, report]): Point => ({ value, ...(step !== null && { step }), at, source, report }),
  );

const counts = z.partialRecord(z.enum(["NaN", "Infinity", "-Infinity"]), z.number());

const record: z.ZodType<SeriesRecord> = z
  .object({
    points: z.array(storedPoint),
    reports: z.number(),
    stride: z.number().min(1),
    notFinite: counts.optional(), // absent in records of earlier versions
  })
  // A row that a later version wrote otherwise costs its metric's curve, never the session's jobs.
  .catch({ points: [], reports: 0, stride: 1 });

const seriesRow = z.object({ metric: z.string(), record: json(record) });

const toText = ({ points, reports, stride, notFinite }: SeriesRecord): string =>
  JSON.stringify({
    points: points.map(({ value, step, at, source, report }) => [value, step ?? null, at, source, report]),
    reports,
    stride,
    notFinite,
  });

export const createSeriesStore = (database: Database): SeriesStore => ({
  seriesOf: (jobID) =>
    new Map(
      database
        .all(seriesRow, "SELECT metric, record FROM series WHERE job = ? ORDER BY rowid", jobID)
        .map(({ metric, record }) => [metric, record]),
    ),
  seriesOfMetric: (jobID, metric) =>
    database.get(seriesRow, "SELECT metric, record FROM series WHERE job = ? AND metric = ?", jobID, metric)?.record,
  saveSeries: (jobID, records) =>
    database.transaction(() => {
      for (const [metric, record] of records)
        database.run(
          `INSERT INTO series (job, metric, record) VALUES (?, ?, ?)
           ON CONFLICT (job, metric) DO UPDATE SET record = excluded.record`,
          jobID,
          metric,
          toText(record),
        );
    }),
});
