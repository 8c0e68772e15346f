import type { IdGenerator } from "../shared/ids.ts";
import type { JobView } from "../views/job-view.ts";
import {
  cut,
  DESCRIPTION_LIMIT,
  renderCost,
  renderError,
  renderMetrics,
  renderNotes,
  renderUpdate,
} from "./job-list.ts";
import { renderCounted, renderOverview } from "./job-overview.ts";
import { createFrame, describeUnseen, type Frame, toFact, toFramed } from "./quoted-text.ts";

/** Bytes and lines of an answer. OpenCode cuts it above 51,200 bytes and 2,000 lines. */
const ANSWER_LIMIT = 48_000;
const ANSWER_LINES = 1_500;
/** Bytes of the results in it at least. */
const RESULTS_MIN = 12_000;
/** Bytes of one job's result, where nobody has asked for that job alone. */
const RESULT_LIMIT = 12_000;
/** Jobs whose results one answer tells. */
const MOST = 32;
/** Bytes of a job's block besides its summary, error and result. */
const BLOCK = 300;
/** Bytes that the summaries and the errors of an answer may use together, and the least that each of them gets. */
const SUMMARIES_LIMIT = 6_000;
const ERRORS_LIMIT = 4_000;
const LINE_MIN = 100;
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
  jobs: readonly JobView[],
  ids: IdGenerator,
  { beside = [], isNamed = false }: ResultLimits = {},
): string {
  if (jobs.length === 0) return "";
  const bytes = Math.max(RESULTS_MIN, ANSWER_LIMIT - Buffer.byteLength(beside.join("\n")));
  const most = Math.max(1, Math.min(MOST, Math.floor(bytes / (BLOCK + 2 * LINE_MIN))));
  const told = jobs.slice(0, most);
  const left = renderLeft(jobs.slice(most));
  const share = (limit: number) => Math.floor(limit / told.length);
  const texts = told.map(({ result }) => (result === undefined ? null : toFramed(result)));
  const frame = createFrame(
    ids,
    texts.filter((text) => text !== null),
  );
  const rest = bytes - Buffer.byteLength(left) - (told.length + 1) * BLOCK;
  const blocks = told.map((job, index) => {
    const line = (text: string, limit: number) =>
      cut(text, Math.max(LINE_MIN, share(Math.min(limit, rest / 4))), 1).shown;
    const summary = line(renderSummary(job), SUMMARIES_LIMIT);
    const error = renderError(job);
    const shownError = error === null ? null : line(error, ERRORS_LIMIT);
    const room = share(rest) - Buffer.byteLength(summary) - Buffer.byteLength(shownError ?? "");
    return [
      `<job id="${job.id}" state="${job.state}">`,
      `<summary>${summary}</summary>`,
      ...(shownError === null ? [] : [`<error>${shownError}</error>`]),
      ...renderResult(job, texts[index] ?? null, frame, {
        bytes: Math.max(0, isNamed ? room : Math.min(RESULT_LIMIT, room)),
        lines: share(ANSWER_LINES),
        isWhole: told.length === 1 && isNamed,
      }),
      "</job>",
    ].join("\n");
  });
  const introduction = texts.some((text) => text !== null) ? [frame.introduction] : [];
  return [...introduction, ...blocks, ...(left === "" ? [] : [left])].join("\n");
}

function renderLeft(jobs: readonly JobView[]): string {
  if (jobs.length === 0) return "";
  const heading = `${jobs.length} more have ended, whose results do not fit here. agents_status with "jobs" tells them, up to ${MOST} at a time:`;
  const failed = jobs.filter(({ error }) => error !== undefined);
  const others = jobs.filter(({ error }) => error === undefined);
  return [heading, ...renderOverview(failed, LEFT_LIMIT), ...renderCounted(others)].join("\n");
}

function renderSummary(job: JobView): string {
  const cost = renderCost(job);
  const facts = [renderMetrics(job), renderUpdate(job), renderNotes(job)].filter(Boolean).map((fact) => ` · ${fact}`);
  return `${toFact(job.description, DESCRIPTION_LIMIT)}${facts.join("")} · ${job.elapsedSeconds} s${cost === null ? "" : ` · ${cost}`}`;
}

/** A job's text in its frame, followed by what the frame leaves out. */
function renderResult(
  job: JobView,
  text: string | null,
  frame: Frame,
  limits: { readonly bytes: number; readonly lines: number; readonly isWhole: boolean },
): string[] {
  if (text === null || job.result === undefined) return [];
  const { shown, missing } = cut(text, limits.bytes, limits.lines);
  return [
    ...(job.error ? ["What it had to say until then:"] : []),
    frame.around(shown),
    missing === 0
      ? ""
      : `[${missing} characters more are in session ${job.sessionID}${limits.isWhole ? "" : `; agents_status with "jobs": ["${job.id}"] tells more`}]`,
    describeUnseen(job.result),
  ].filter((line) => line !== "");
}
