import type { JobView } from "../../../views/job-view.ts";
import { signed } from "../../../views/numbers.ts";

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

export const difference = (change: number | undefined): string =>
  change === undefined ? "" : signed(change).replace(/^-/, "−");

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
