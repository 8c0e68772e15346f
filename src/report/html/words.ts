import type { MetricSource } from "../../core/run-task.ts";
import type { JobView } from "../../views/job-view.ts";
import { formatNumber, signed as signedChange } from "../../views/numbers.ts";

export { formatUsd as usd } from "../../shared/usd.ts";

/** States by their mark, so that none is known by its colour alone. */
export const STATE_MARKS: Readonly<Record<JobView["state"], string>> = {
  running: "●",
  starting: "◌",
  queued: "·",
  completed: "✓",
  failed: "✗",
  cancelled: "⊘",
  interrupted: "‖",
};

export const SOURCE_WORDS: Readonly<Record<MetricSource, string>> = {
  clean: "measured by a benchmark in fresh sandboxes with the project's own evaluation",
  snapshot: "measured by a benchmark in the job's own files",
  output: "printed by the job's own command, measured by nobody else",
  reported: "what the job says of itself, measured by nobody",
};

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 60) return `${formatNumber(seconds, 3)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min${seconds % 60 >= 1 ? ` ${Math.floor(seconds % 60)} s` : ""}`;
  return `${Math.floor(minutes / 60)} h${minutes % 60 > 0 ? ` ${minutes % 60} min` : ""}`;
}

export const signed = (change: number | undefined): string => (change === undefined ? "" : signedChange(change));

/** A moment to the second. */
export const moment = (iso: string | undefined): string => (iso ?? "").replace("T", " ").replace(/\.\d+Z$/, "Z");

export const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
