// The demo's two tables: the jobs as they run, and the ranking at the end.
import { type Column, renderTable } from "./text-table.ts";

export { type Column, renderTable } from "./text-table.ts";

export interface LiveRow {
  readonly job: string;
  readonly state: string;
  /** the command it runs now, or its own status text */
  readonly doing?: string | undefined;
  readonly valBpb?: number | undefined;
  readonly bytes?: number | undefined;
  readonly seconds: number;
}

export interface LeaderboardRow {
  readonly job: string;
  /** name of the job it was forked from */
  readonly parent?: string | undefined;
  /** missing: the job has no result and ranks last */
  readonly valBpb?: number | undefined;
  readonly bytes?: number | undefined;
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
    { header: "val_bpb", value: (row) => formatBpb(row.valBpb), align: "right" },
    { header: "bytes", value: (row) => formatBytes(row.bytes), align: "right" },
    { header: "time", value: (row) => formatSeconds(row.seconds), align: "right" },
  ];
}

export interface LeaderboardOptions {
  readonly capBytes: number;
  readonly width?: number;
  readonly colour?: boolean;
}

/** The final ranking, best first; ties go to the smaller artifact. */
export function renderLeaderboard(
  rows: readonly LeaderboardRow[],
  { capBytes, width = 100, colour = false }: LeaderboardOptions,
): string {
  const byName = new Map(rows.map((row) => [row.job, row]));
  const ranked = [...rows].sort(
    (a, b) => (a.valBpb ?? Infinity) - (b.valBpb ?? Infinity) || (a.bytes ?? 0) - (b.bytes ?? 0) || 0,
  );
  const rankOf = new Map(ranked.map((row, i) => [row.job, row.valBpb === undefined ? "–" : String(i + 1)]));
  const columns: readonly Column<LeaderboardRow>[] = [
    { header: "#", value: (row) => rankOf.get(row.job) ?? "", align: "right" },
    {
      header: "job",
      value: (row) => row.job,
      paint: (text, row) => paint(colour && rankOf.get(row.job) === "1", 32, text),
    },
    { header: "forked from", value: (row) => row.parent ?? "–", flexible: true },
    { header: "val_bpb", value: (row) => formatBpb(row.valBpb), align: "right" },
    { header: "vs parent", value: (row) => formatGain(row, byName.get(row.parent ?? "")), align: "right" },
    { header: "bytes", value: (row) => formatBytes(row.bytes), align: "right" },
    {
      header: "of cap",
      value: (row) => (row.bytes === undefined ? "" : `${Math.round((row.bytes / capBytes) * 100)} %`),
      align: "right",
    },
    { header: "time", value: (row) => formatSeconds(row.seconds), align: "right" },
  ];
  return renderTable(ranked, columns, width);
}

export const formatBpb = (bpb: number | undefined) => (bpb === undefined ? "" : bpb.toFixed(4));

export const formatBytes = (bytes: number | undefined) =>
  bytes === undefined ? "" : String(bytes).replace(/\B(?=(\d{3})+$)/g, ",");

export const formatSeconds = (seconds: number) =>
  seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;

function formatGain(row: LeaderboardRow, parent: LeaderboardRow | undefined): string {
  if (row.valBpb === undefined || parent?.valBpb === undefined) return "";
  const gain = row.valBpb - parent.valBpb;
  return `${gain > 0 ? "+" : "−"}${Math.abs(gain).toFixed(4)}`;
}

function paint(on: boolean, code: number | undefined, text: string): string {
  return on && code !== undefined ? `\u001b[${code}m${text}\u001b[0m` : text;
}
