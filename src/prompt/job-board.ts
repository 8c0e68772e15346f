import type { Board, BoardRow } from "../core/board.ts";
import { spendOf } from "../core/budget.ts";
import { isEnded, type Job } from "../core/job.ts";
import { describeParams } from "../core/matrix.ts";
import { bestOf, type FoldedRuns } from "../core/run-groups.ts";
import { countStates, inOrder } from "../core/state-counts.ts";
import { formatUsd } from "../shared/usd.ts";
import { CANCELLED, type JobView } from "../views/job-view.ts";
import { DESCRIPTION_LIMIT, renderMetric, renderMetrics, renderStates } from "./job-list.ts";
import { toMarkdown } from "./quoted-text.ts";

/*
 * Lists of jobs for people, as Markdown: the conversation shows them while a tool runs and when it has ended. No model is
 * shown them.
 */

/** Characters. */
const ERROR_LIMIT = 240;
const FACT_LIMIT = 160;
/** Metrics of a job. */
const METRICS = 4;

/**
 * A sentence on all jobs, then the lines.
 * @param views of `boardJobs` @param all the jobs that the board was planned for
 * @param isLive whether it goes on changing: it says when it last did, because it stays where its process is killed
 */
export function renderBoard(
  board: Board,
  views: readonly JobView[],
  all: readonly Job[],
  now: number,
  isLive = false,
): string {
  const viewOf = new Map(views.map((view) => [view.id, view]));
  const { usd } = spendOf(all, now);
  const head = joined(countsOf(all), [usd > 0 ? formatUsd(usd) : "", isLive ? `at ${timeOf(now)}` : ""]);
  return [
    head,
    "",
    ...board.rows.map((row) => `- ${renderRow(row, viewOf, now)}`),
    ...(board.left.length > 0 ? [`- and ${board.left.length} more: ${countsOf(board.left)}`] : []),
  ].join("\n");
}

/** What a user who has stopped a turn is told of the jobs; null where none goes on. */
export function renderGoOn(jobs: readonly Job[]): string | null {
  const count = jobs.filter(({ state: { kind } }) => GO_ON.includes(kind)).length;
  if (count === 0) return null;
  const what = count === 1 ? "1 job goes on" : `${count} jobs go on`;
  return `${what}. Ask "how are the jobs?" to see ${count === 1 ? "it" : "them"}, or to stop ${count === 1 ? "it" : "them"}; in a terminal UI with this plugin's part, /jobs.`;
}

const GO_ON: readonly JobView["state"][] = ["queued", "starting", "running"];

/** "2 running, 1 failed, 9 queued, 3 completed", the most urgent first. */
export const countsOf = (jobs: readonly Job[]): string => renderStates(inOrder(countStates(jobs), ORDER));

const ORDER: readonly JobView["state"][] = [
  "running",
  "starting",
  "interrupted",
  "failed",
  "queued",
  "completed",
  "cancelled",
];

function renderRow(row: BoardRow, views: ReadonlyMap<string, JobView>, now: number): string {
  switch (row.kind) {
    case "job": {
      const view = views.get(row.job.id);
      return view ? renderJob(view) : toMarkdown(row.job.task.description, DESCRIPTION_LIMIT);
    }
    case "queued": {
      const reason = views.get(row.jobs[0]?.id ?? "")?.reason;
      return joined(`${MARKS.queued} ${row.jobs.length} queued`, [reason === undefined ? "" : toFact(reason)]);
    }
    case "runs":
      return renderRuns(row.group, now);
  }
}

export function renderJob(view: JobView): string {
  const { state, description } = view;
  const { model, compute } = view.usd;
  const usd = model + compute;
  const facts = [
    ...wordsOf(view),
    view.gpu === undefined ? "" : toFact(`GPU ${view.gpu}`),
    toFact(renderMetrics(view, METRICS)),
    view.startedAt === undefined ? "" : inTime(view.elapsedSeconds),
    usd > 0 ? formatUsd(usd) : "",
  ];
  return joined(`${MARKS[state]} **${toMarkdown(description, DESCRIPTION_LIMIT)}** ${state}`, facts);
}

/** What it does or waits for, and once it has ended why it has not come to a result: not what it last said. */
function wordsOf({ state, reason, status, tool, error }: JobView): string[] {
  if (state === "completed") return [];
  if (state === "failed") return [toMarkdown(`${error?.code}: ${error?.message}`, ERROR_LIMIT)];
  if (state === "cancelled") {
    const why = error?.message;
    return why === undefined || why === CANCELLED ? [] : [toFact(why)];
  }
  const now = reason ?? (status === undefined ? undefined : `"${status}"`) ?? tool;
  return now === undefined ? [] : [toFact(now)];
}

/** "✓ **sweep** 40 runs: 37 completed, 3 failed · best loss 0.12 (LR=0.1) · $1.20" */
function renderRuns({ label, starter, runs }: FoldedRuns, now: number): string {
  const { usd } = spendOf(runs, now);
  const name = starter === null ? (label ?? "runs of several tasks") : `runs that ${starter} started`;
  const failed = runs.findLast(({ state }) => state.kind === "failed");
  const failure = failed?.state.kind === "failed" ? failed.state.failure : null;
  return joined(`${markOf(runs)} **${toMarkdown(name, DESCRIPTION_LIMIT)}** ${runs.length} runs: ${countsOf(runs)}`, [
    renderBest(runs),
    failure === null ? "" : toMarkdown(`last failure ${failure.code}: ${failure.message}`, FACT_LIMIT),
    usd > 0 ? formatUsd(usd) : "",
  ]);
}

function renderBest(runs: readonly Job[]): string {
  const best = bestOf(runs);
  const value = best && Object.hasOwn(best.job.metrics, best.metric) ? best.job.metrics[best.metric] : undefined;
  if (!best || !value) return "";
  const params = describeParams(best.job.task.run?.params ?? {});
  const soFar = runs.every(({ state }) => isEnded(state)) ? "best" : "best so far";
  return toFact(`${soFar} ${renderMetric(best.metric, value)}${params === "" ? "" : ` (${params})`}`);
}

function markOf(runs: readonly Job[]): string {
  const kinds = new Set(runs.map(({ state }) => state.kind));
  const of = (["running", "starting", "interrupted", "queued", "failed", "completed"] as const).find((kind) =>
    kinds.has(kind),
  );
  return MARKS[of ?? "cancelled"];
}

export const MARKS: Readonly<Record<JobView["state"], string>> = {
  queued: "·",
  starting: "◌",
  running: "●",
  interrupted: "‖",
  completed: "✓",
  failed: "✗",
  cancelled: "⊘",
};

const toFact = (text: string): string => toMarkdown(text, FACT_LIMIT);

const joined = (first: string, facts: readonly string[]): string =>
  [first, ...facts.filter((fact) => fact !== "")].join(" · ");

/** "14:05:09", on the clock of whoever looks. */
const timeOf = (now: number): string => new Date(now).toTimeString().slice(0, 8);

/** "12 s", "3 min 5 s", "2 h 10 min" */
export function inTime(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const [minutes, rest] = [Math.floor(whole / 60), whole % 60];
  if (minutes < 60) return rest === 0 ? `${minutes} min` : `${minutes} min ${rest} s`;
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
