// The demo's two tables: the jobs as they run, and the ranking at the end.
import type { MetricValue } from "../../src/core/run-task.ts";
import type { ExperimentView } from "../../src/views/experiment-view.ts";
import { type Column, renderTable } from "./text-table.ts";

export { type Column, renderTable } from "./text-table.ts";

export interface LiveRow {
  readonly job: string;
  readonly state: string;
  /** the command it runs now, or its own status text */
  readonly doing?: string | undefined;
  readonly bpb?: number | undefined;
  readonly seconds: number;
}

const COLOURS: Readonly<Record<string, number>> = {
  completed: 32,
  running: 36,
  starting: 36,
  queued: 90,
  failed: 31,
  cancelled: 33,
  interrupted: 33,
};

/** Columns of the live table. */
export function liveColumns(colour: boolean): readonly Column<LiveRow>[] {
  return [
    { header: "job", value: (row) => row.job },
    { header: "state", value: (row) => row.state, paint: (text, row) => paint(colour, COLOURS[row.state], text) },
    { header: "doing", value: (row) => row.doing ?? "", flexible: true },
    { header: "bpb", value: (row) => formatBpb(row.bpb), align: "right" },
    { header: "time", value: (row) => formatSeconds(row.seconds), align: "right" },
  ];
}

export interface LeaderboardOptions {
  /** Description of the experiment that others are compared with. */
  readonly control?: string;
  readonly width?: number;
  readonly colour?: boolean;
}

const VERDICTS: Readonly<Record<string, number>> = { better: 32, worse: 31, noise: 33 };

/** The experiments as `experiments_list` gives them, in its order. */
export function renderLeaderboard(
  experiments: readonly ExperimentView[],
  { control = "", width = 110, colour = false }: LeaderboardOptions = {},
): string {
  const base = experiments.find(({ description }) => description === control)?.mean;
  const columns: readonly Column<ExperimentView>[] = [
    { header: "#", value: ({ rank }) => (rank === undefined ? "–" : String(rank)), align: "right" },
    { header: "experiment", value: ({ description }) => description, flexible: true },
    { header: "val_bpb", value: formatMean, align: "right" },
    { header: "n", value: ({ n }) => String(n), align: "right" },
    { header: "measured", value: ({ source }) => source },
    {
      header: "vs control",
      value: (one) => (one.description === control ? "" : formatGain(one.mean, base)),
      align: "right",
    },
    {
      header: "verdict",
      value: ({ verdict }) => verdict ?? "–",
      paint: (text, { verdict }) => paint(colour, VERDICTS[verdict ?? ""], text),
    },
  ];
  return renderTable(experiments, columns, width);
}

function formatMean({ mean, deviation }: ExperimentView): string {
  if (typeof mean !== "number") return mean;
  return deviation === undefined ? mean.toFixed(4) : `${mean.toFixed(4)} ± ${deviation.toFixed(4)}`;
}

export const formatBpb = (bpb: number | undefined) => (bpb === undefined ? "" : bpb.toFixed(4));

export const formatSeconds = (seconds: number) =>
  seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;

function formatGain(mean: MetricValue, base: MetricValue | undefined): string {
  if (typeof mean !== "number" || typeof base !== "number") return "";
  const gain = mean - base;
  return `${gain > 0 ? "+" : gain < 0 ? "−" : ""}${Math.abs(gain).toFixed(4)}`;
}

function paint(on: boolean, code: number | undefined, text: string): string {
  return on && code !== undefined ? `\u001b[${code}m${text}\u001b[0m` : text;
}
