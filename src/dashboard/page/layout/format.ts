import type { MetricValue } from "../../../core/run-task.ts";
import { digitsNearWhole } from "../../../shared/near-whole.ts";
import type { JobView } from "../../../views/job-view.ts";

export const usd = (amount: number): string => (amount > 0 && amount < 0.01 ? "<$0.01" : `$${amount.toFixed(2)}`);

/** "1 job", "2 jobs" */
export const some = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** "45 s", "3 min", "2 h 05 min" */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min${minutes < 10 ? ` ${seconds % 60} s` : ""}`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** With as many digits as tell numbers of experiments apart. */
export const number = (value: MetricValue): string =>
  Number.isInteger(value) && Math.abs(Number(value)) < 1e9
    ? String(value)
    : digits(value, digitsNearWhole(Number(value), 6));

/** How far numbers lie apart: more digits than three would be noise. */
export const spread = (value: number): string => digits(value, Math.abs(value) < 1_000 ? 3 : 6);

function digits(value: MetricValue, most: number): string {
  const given = Number(value);
  if (!Number.isFinite(given)) return String(value);
  if (given === 0) return "0";
  const size = Math.abs(given);
  return size >= 1e6 || size < 1e-4 ? given.toExponential(3) : String(Number(given.toPrecision(most)));
}

export const difference = (value: number | undefined): string =>
  value === undefined ? "" : value > 0 ? `+${spread(value)}` : spread(value).replace("-", "−");

export const MARKS: Readonly<Record<JobView["state"], string>> = {
  running: "●",
  starting: "◌",
  queued: "·",
  completed: "✓",
  failed: "✗",
  cancelled: "⊘",
  interrupted: "‖",
};

export const isOpen = (state: JobView["state"]): boolean =>
  state === "running" || state === "starting" || state === "queued";

export const totalUsd = (job: Pick<JobView, "usd">): number => job.usd.model + job.usd.compute;
