import { readMetricLine } from "../core/metric-line.ts";
import { formatUsd } from "../shared/usd.ts";
import type { JobView } from "../views/job-view.ts";
import type { LabView } from "../views/lab-view.ts";
import { formatValue } from "../views/numbers.ts";
import { type Line, piece, type Tone } from "./text.ts";

type State = JobView["state"];

const MARKS: Readonly<Record<State, readonly [mark: string, tone: Tone]>> = {
  running: ["●", "accent"],
  starting: ["◌", "accent"],
  queued: ["·", "muted"],
  completed: ["✓", "good"],
  failed: ["✗", "bad"],
  cancelled: ["⊘", "muted"],
  interrupted: ["‖", "warning"],
};

/** The state of a job as one character, with a space. */
export const markOf = (state: State) => piece(`${MARKS[state][0]} `, MARKS[state][1]);

/** "42s", "12m", "3h05", "2d" */
export function ageOf(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h${String(minutes % 60).padStart(2, "0")}` : `${Math.floor(hours / 24)}d`;
}

/** How long a job has been at work; "" before it began, and where nobody works on it. @param now epoch ms */
export function runningTimeOf({ state, startedAt, endedAt }: JobView, now: number): string {
  if (startedAt === undefined || state === "interrupted") return "";
  return ageOf((endedAt === undefined ? now : Date.parse(endedAt)) - Date.parse(startedAt));
}

/** "$1.84"; "" for nothing. */
export const dollars = (usd: number): string => (usd <= 0 ? "" : formatUsd(usd));

export interface Counts {
  /** With those whose sandbox is being made. */
  readonly running: number;
  readonly queued: number;
  readonly interrupted: number;
  readonly failed: number;
  readonly completed: number;
  readonly cancelled: number;
}

export function countsOf({ jobs }: Pick<LabView, "jobs">): Counts {
  const count = (...states: State[]) => jobs.filter(({ state }) => states.includes(state)).length;
  return {
    running: count("running", "starting"),
    queued: count("queued"),
    interrupted: count("interrupted"),
    failed: count("failed"),
    completed: count("completed"),
    cancelled: count("cancelled"),
  };
}

/** "2▶ 9… 1✗": what is under way and what is wrong; "3✓" when nothing is. */
export function counterOf(counts: Counts): Line {
  const shown = [
    { count: counts.running, mark: "▶", tone: "accent" },
    { count: counts.queued, mark: "…", tone: "muted" },
    { count: counts.interrupted, mark: "‖", tone: "warning" },
    { count: counts.failed, mark: "✗", tone: "bad" },
  ] as const;
  const parts = shown.filter(({ count }) => count > 0);
  const done = parts.length === 0 ? [{ count: counts.completed, mark: "✓", tone: "good" as const }] : [];
  return [...parts, ...done]
    .filter(({ count }) => count > 0)
    .flatMap(({ count, mark, tone }, at) => [...(at > 0 ? [piece(" ")] : []), piece(`${count}${mark}`, tone)]);
}

/** "loss 2.25@400 · acc 0.9": the first few numbers that a job has reported. */
export const metricsOf = ({ metrics }: JobView, most: number): string =>
  Object.entries(metrics)
    .slice(0, most)
    .map(([name, { value, step }]) => `${name} ${formatValue(value)}${step === undefined ? "" : `@${step}`}`)
    .join(" · ");

/** What a job is doing or waits for; "" where that is a line of numbers, which its metrics say more readably. */
export const doingOf = ({ reason, status, tool }: JobView): string =>
  reason ?? (status !== undefined && (readMetricLine(status)?.metrics.length ?? 0) > 0 ? "" : status) ?? tool ?? "";

/** Why a job ended as it did; "" where it ended well. */
export const errorOf = ({ error, stopped }: JobView): string =>
  error === undefined ? "" : stopped ? error.message : `${error.code}: ${error.message.replace(EXIT, "")}`;

/** Before the exit code, which is what there is to know of a row that is cut. */
const EXIT = /^The command ended with (?=exit code)/;
