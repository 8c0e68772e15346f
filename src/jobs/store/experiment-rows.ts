import { z } from "zod";
import type { Experiment } from "../../core/experiments/experiment.ts";
import type { MetricSource, MetricValue } from "../../core/run-task.ts";
import { experimentRecord, metricSource } from "./experiment-record.ts";
import { direction, metricValue } from "./job-record.ts";
import { json, type RowReader } from "./rows.ts";

/** An experiment as its project's file has it. */
export interface ExperimentRow {
  readonly experiment: Experiment;
  readonly session: string;
  readonly branch: string | null;
  /** What benchmarks measured of it, oldest first. */
  readonly measured: readonly MeasuredRow[];
}

/** One repeat of a benchmark that has completed. */
export interface MeasuredRow {
  /** The run that measured. */
  readonly by: string;
  readonly source: MetricSource;
  /** The same for all measurements under the same conditions. */
  readonly bench: string;
  readonly seed: number;
  /** Those that the job had had; null = not known. */
  readonly turns: number | null;
  /** Epoch ms. */
  readonly at: number;
  readonly values: readonly (readonly [metric: string, value: MetricValue])[];
}

const experimentRow = z.object({
  id: z.string(),
  session: z.string(),
  branch: z.string().nullable(),
  record: json(experimentRecord),
});

const measuredRow = z.object({
  id: z.string(),
  record: json(
    z.object({
      by: z.string(),
      job: z.string(),
      source: metricSource,
      direction,
      bench: z.string().catch(""),
      seed: z.number().catch(0),
      turns: z.number().nullable().catch(null),
      at: z.number().catch(0),
      values: z.array(z.tuple([z.string(), metricValue])).default([]),
    }),
  ),
});

/** All of a project, the oldest first. @throws UnusableRow where a record cannot be read */
export function readExperiments(rows: RowReader): ExperimentRow[] {
  const measured = new Map<string, MeasuredRow[]>();
  for (const { record } of rows.all(measuredRow, "SELECT job AS id, record FROM measurements ORDER BY rowid")) {
    if (record.values.length === 0) continue;
    measured.set(record.job, [...(measured.get(record.job) ?? []), record]);
  }
  return rows
    .all(experimentRow, "SELECT job AS id, session, branch, record FROM experiments ORDER BY created_at, job")
    .map(({ record, session, branch }) => ({
      experiment: record,
      session,
      branch,
      measured: measured.get(record.job) ?? [],
    }));
}
