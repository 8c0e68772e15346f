import { type Spend, usd } from "../jobs/spend.ts";
import type { JobView } from "../views/job-view.ts";

/** Longest result of one job in a tool's output, bytes; the whole of it is in the job's own session. */
const RESULT_LIMIT = 12_000;
/** All results of one answer together: the host cuts above 51,200 bytes and 2,000 lines. */
const ANSWER_LIMIT = 40_000;
const ANSWER_LINES = 1_500;

/** One line: id, state, description and what matters now. */
export function renderJobLine(job: JobView): string {
  const facts = [
    job.queuePosition === undefined ? null : `place ${job.queuePosition}`,
    job.reason ?? null,
    job.tool === undefined ? null : `runs ${job.tool}`,
    job.status ?? null,
    renderMetrics(job),
    job.startedAt === undefined ? null : `${job.elapsedSeconds} s`,
    job.error ? `${job.error.code}: ${job.error.message}` : null,
    renderUpdate(job),
    renderNotes(job),
    job.snapshot === undefined ? null : `parked as ${job.snapshot}`,
  ].filter((fact) => fact !== null && fact !== "");
  return `${job.id}  ${job.state.padEnd(9)}  ${job.description}${facts.length > 0 ? ` · ${facts.join(" · ")}` : ""}`;
}

function renderUpdate({ update }: JobView): string | null {
  if (!update) return null;
  if (update.problem !== undefined) return `its files could not be brought up to date: ${update.problem}`;
  return update.conflicts.length === 0
    ? null
    : `conflicts with the project were left to it in ${shorten(update.conflicts)}`;
}

/** "notes: No network: pasta is not installed. 2 sockets were left out." */
const renderNotes = ({ notes }: JobView): string | null =>
  notes.length === 0 ? null : `notes: ${notes.map((note) => note.replace(/([^.])$/, "$1.")).join(" ")}`;

/** How the project differs from what a job works on. */
export function renderDrift(drift: { readonly changed: readonly string[] } | null, isUpdated: boolean): string[] {
  if (!drift) return isUpdated ? ["Its files are up to date with the project already."] : [];
  const what = `The project has changed since the job took its files: ${shorten(drift.changed)}.`;
  return isUpdated
    ? [`${what} They are brought up to date before that turn; conflicts are told to the job and shown in its line.`]
    : [`${what} It goes on with the files it has; send "update": true to bring them up to date first.`];
}

const NAMES = 20;

const shorten = (names: readonly string[]): string =>
  names.length <= NAMES ? names.join(", ") : `${names.slice(0, NAMES).join(", ")} and ${names.length - NAMES} more`;

export function renderMetrics(job: JobView): string {
  return Object.entries(job.metrics)
    .map(([name, { value, step }]) => `${name} ${Number(value.toPrecision(6))}${step === undefined ? "" : ` @${step}`}`)
    .join(", ");
}

/** What finished jobs answered, each in its own block, in the shape the host uses for its own subtasks. */
export function renderResults(jobs: readonly JobView[]): string {
  const share = (limit: number) => Math.floor(limit / Math.max(jobs.length, 1));
  const bytes = Math.min(RESULT_LIMIT, share(ANSWER_LIMIT));
  return jobs.map((job) => renderResult(job, bytes, share(ANSWER_LINES))).join("\n");
}

function renderResult(job: JobView, bytes: number, lines: number): string {
  const facts = [renderMetrics(job), renderUpdate(job), renderNotes(job)].filter(Boolean).map((fact) => ` · ${fact}`);
  const soFar = job.result === undefined ? "" : `\nWhat it had to say until then:\n${job.result}`;
  const text = job.error ? `${job.error.code}: ${job.error.message}${soFar}` : (job.result ?? "");
  const body = cut(text, bytes, lines, job);
  return [
    `<job id="${job.id}" state="${job.state}">`,
    `<summary>${job.description}${facts.join("")} · ${job.elapsedSeconds} s</summary>`,
    `<result>\n${body}\n</result>`,
    "</job>",
  ].join("\n");
}

function cut(text: string, byteLimit: number, lineLimit: number, job: JobView): string {
  const bytes = Buffer.from(text.split("\n").slice(0, lineLimit).join("\n")); // the host counts bytes
  const shown = new TextDecoder().decode(bytes.subarray(0, byteLimit)).replace(/\uFFFD$/, "");
  if (shown.length >= text.length) return text;
  return `${shown}\n[${text.length - shown.length} characters more are in session ${job.sessionID}]`;
}

/** What a person sees while jobs run: a markdown list. */
export function renderBoard(jobs: readonly JobView[]): string {
  return jobs
    .map((job) => {
      const now = job.reason ?? job.status ?? job.tool ?? (job.error ? job.error.code : null);
      const parts = [now, renderMetrics(job) || null, job.startedAt ? `${Math.round(job.elapsedSeconds)} s` : null];
      return `- ${MARKS[job.state]} **${job.description}** ${[job.state, ...parts.filter((one) => one !== null)].join(" · ")}`;
    })
    .join("\n");
}

const MARKS: Readonly<Record<JobView["state"], string>> = {
  queued: "·",
  starting: "◌",
  running: "●",
  interrupted: "‖",
  completed: "✓",
  failed: "✗",
  cancelled: "⊘",
};

/** "3 completed, 1 failed, 2 running". */
export function renderCounts(jobs: readonly JobView[]): string {
  const counts = new Map<string, number>();
  for (const { state } of jobs) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, count]) => `${count} ${state}`).join(", ") || "no jobs";
}

/** " GPUs: 4 of 10 in use, H100 4 of 8." once some are used or limited by type. */
export function renderGpus(gpus: Readonly<Record<string, { readonly used: number; readonly limit: number }>>): string {
  const { total, ...types } = gpus;
  if (!total || (total.used === 0 && Object.keys(types).length === 0)) return "";
  const each = Object.entries(types).map(([type, { used, limit }]) => `, ${type} ${used} of ${limit}`);
  return ` GPUs: ${total.used} of ${total.limit} in use${each.join("")}.`;
}

/** "Spent: $4.20 of $25.00 (model $1.20, compute $3.00)." */
export function renderSpend(spend: Spend & { readonly budgetUsd: number | null }): string {
  const of = spend.budgetUsd === null ? "" : ` of ${usd(spend.budgetUsd)}`;
  return `Spent: ${usd(spend.usd)}${of} (model ${usd(spend.modelUsd)}, compute ${usd(spend.computeUsd)}).`;
}
