import type { ToldApart } from "../core/told-apart.ts";
import type { IdGenerator } from "../shared/ids.ts";
import type { JobView, ToldJob } from "../views/job-view.ts";
import {
  cut,
  renderCost,
  renderDevices,
  renderError,
  renderMetrics,
  renderName,
  renderNotes,
  renderUpdate,
  runsApart,
} from "./job-list.ts";
import { renderCounted, renderOverview } from "./job-overview.ts";
import { createFrame, describeUnseen, type Frame, toFact, toFramed } from "./quoted-text.ts";

/** Bytes and lines of an answer. OpenCode cuts it above 51,200 bytes and 2,000 lines. */
export const ANSWER_LIMIT = 48_000;
const ANSWER_LINES = 1_500;
/** Bytes of the results in it at least. */
const RESULTS_MIN = 12_000;
/** Bytes of one job's result, where nobody has asked for that job alone. */
const RESULT_LIMIT = 12_000;
/** Jobs whose results one answer tells. */
export const MOST = 32;
/** Bytes of a job's block besides its summary, error and result. */
const BLOCK = 300;
/** Bytes that the summaries and the errors of an answer may use together, and the least that each of them gets. */
const SUMMARIES_LIMIT = 6_000;
const ERRORS_LIMIT = 4_000;
const LINE_MIN = 100;
/** Bytes around one of several texts of a job, and those that each needs at least to be told. */
const FRAME = 170;
const TEXT_MIN = 900;
/** Bytes for the lines of failed jobs whose results are left out. */
const LEFT_LIMIT = 3_000;

export interface ResultLimits {
  /** The other lines of the answer. */
  readonly beside?: readonly string[];
  /** The results were asked for by name: each gets as much room as there is. */
  readonly isNamed?: boolean;
}

/**
 * What finished jobs answered, one block per job, in the shape that OpenCode uses for its own subtasks. Jobs beyond those
 * that fit are named.
 */
export function renderResults(
  jobs: readonly ToldJob[],
  ids: IdGenerator,
  { beside = [], isNamed = false }: ResultLimits = {},
): string {
  if (jobs.length === 0) return "";
  const bytes = Math.max(RESULTS_MIN, ANSWER_LIMIT - Buffer.byteLength(beside.join("\n")));
  const most = Math.max(1, Math.min(MOST, Math.floor(bytes / (BLOCK + 2 * LINE_MIN))));
  const told = jobs.slice(0, most);
  const left = renderLeft(jobs.slice(most));
  const share = (limit: number) => Math.floor(limit / told.length);
  const texts = told.map((job) => textsOf(job, Math.max(2, Math.floor(share(bytes) / TEXT_MIN))));
  const framed = texts.flat().flatMap((text) => text.framed ?? []);
  const frame = createFrame(ids, framed);
  const rest = bytes - Buffer.byteLength(left) - (told.length + 1) * BLOCK;
  const apart = runsApart(told);
  const blocks = told.map((job, index) => {
    const line = (text: string, limit: number) =>
      cut(text, Math.max(LINE_MIN, share(Math.min(limit, rest / 4))), 1).shown;
    const summary = line(renderSummary(job, apart), SUMMARIES_LIMIT);
    const error = renderError(job, ERRORS_LIMIT);
    const shownError = error === null ? null : line(error, ERRORS_LIMIT);
    const own = texts[index] ?? [];
    const used = own.reduce((sum, { heading }) => sum + Buffer.byteLength(heading ?? ""), own.length * FRAME);
    const room = share(rest) - Buffer.byteLength(summary) - Buffer.byteLength(shownError ?? "") - used;
    const limits = {
      bytes: Math.floor(Math.max(0, isNamed ? room : Math.min(RESULT_LIMIT, room)) / Math.max(1, own.length)),
      lines: Math.floor(share(ANSWER_LINES) / Math.max(1, own.length)),
      isWhole: told.length === 1 && isNamed,
    };
    return [
      `<job id="${job.id}" state="${job.state}">`,
      `<summary>${summary}</summary>`,
      ...(shownError === null ? [] : [`<error>${shownError}</error>`]),
      ...own.flatMap((text) => renderText(text, job, frame, limits)),
      "</job>",
    ].join("\n");
  });
  const introduction = framed.length > 0 ? [frame.introduction] : [];
  return [...introduction, ...blocks, ...(left === "" ? [] : [left])].join("\n");
}

function renderLeft(jobs: readonly JobView[]): string {
  if (jobs.length === 0) return "";
  const heading = `${jobs.length} more have ended, whose results do not fit here. agents_status with "jobs" tells them, up to ${MOST} at a time:`;
  const failed = jobs.filter(({ error }) => error !== undefined);
  const others = jobs.filter(({ error }) => error === undefined);
  return [heading, ...renderOverview(failed, LEFT_LIMIT), ...renderCounted(others)].join("\n");
}

function renderSummary(job: JobView, apart: ToldApart | null): string {
  const cost = renderCost(job);
  const facts = [renderDevices(job), renderMetrics(job), renderUpdate(job), renderNotes(job)]
    .filter(Boolean)
    .map((fact) => ` · ${fact}`);
  return `${renderName(job, apart)}${facts.join("")} · ${job.elapsedSeconds} s${cost === null ? "" : ` · ${cost}`}`;
}

/** One of a job's texts. */
interface ToldText {
  /** What it is; null where the result needs no heading. */
  readonly heading: string | null;
  readonly text: string;
  /** Null for a turn that said nothing. */
  readonly framed: string | null;
}

/** What the job's turns said, oldest first; of more than `most` turns the newest. */
function textsOf({ kind, answers = [], result, error, sessionID }: ToldJob, most: number): ToldText[] {
  if (kind === "run") return outputOf(result);
  const shown = answers.slice(-(most - 1)).map(({ turn, text, problem }) => ({
    heading: toHeading(turn, text, problem),
    text,
    framed: text === "" ? null : toFramed(text),
  }));
  const left = answers.length - shown.length;
  const heading = `${left} earlier turns answered too: their texts are in session ${sessionID}.`;
  const earlier = left === 0 ? shown : [{ heading, text: "", framed: null }, ...shown];
  return [...earlier, ...resultOf(result, error, earlier.length > 0)];
}

/** A run's error says how it ended, so its output needs no heading. */
function outputOf(result: string | undefined): ToldText[] {
  if (result === undefined) return [];
  return [
    {
      heading: result === "" ? "It printed nothing." : null,
      text: result,
      framed: result === "" ? null : toFramed(result),
    },
  ];
}

function resultOf(result: string | undefined, error: JobView["error"], hasEarlier: boolean): ToldText[] {
  if (result === undefined) return [];
  const heading = error ? "What it had to say until then:" : hasEarlier ? "Its last turn answered:" : null;
  return [{ heading, text: result, framed: toFramed(result) }];
}

function toHeading(turn: number, text: string, problem: string | null): string {
  if (problem === null) return `Turn ${turn} answered:`;
  const ended = `Turn ${turn} did not end by itself (${toFact(problem, PROBLEM_LIMIT)})`;
  return text === "" ? `${ended} and had said nothing.` : `${ended}. What it had to say until then:`;
}

/** Characters. */
const PROBLEM_LIMIT = 60;

/** A run has no session: the rest of its output is in its sandbox, as its result says. */
function describeMissing(missing: number, { id, kind, sessionID }: JobView, isWhole: boolean): string {
  const where = kind === "run" ? "" : ` are in session ${sessionID}`;
  return `[${missing} characters more${where}${isWhole ? "" : `; agents_status with "jobs": ["${id}"] tells more`}]`;
}

/** A job's text in its frame, followed by what the frame leaves out. */
function renderText(
  { heading, text, framed }: ToldText,
  job: JobView,
  frame: Frame,
  limits: { readonly bytes: number; readonly lines: number; readonly isWhole: boolean },
): string[] {
  if (framed === null) return heading === null ? [] : [heading];
  const { shown, missing } = cut(framed, limits.bytes, limits.lines);
  return [
    heading ?? "",
    frame.around(shown),
    missing === 0 ? "" : describeMissing(missing, job, limits.isWhole),
    describeUnseen(text),
  ].filter((line) => line !== "");
}
