import type { JobView } from "../../views/job-view.ts";
import { formatValue } from "../../views/numbers.ts";
import { ageOf, doingOf, dollars, errorOf, markOf, metricsOf, runningTimeOf } from "../format.ts";
import { columnsOf, cut, type Line, type Piece, piece, row } from "../text.ts";
import type { Entry, FoldEntry, JobEntry, RollUp } from "./entry.ts";

/** What rows of the list depend on, besides their entries. */
export interface RowFacts {
  readonly columns: number;
  /** What jobs are ranked by; null = they are not. */
  readonly metric: string | null;
  readonly asking: ReadonlySet<string>;
}

/** @param now epoch ms */
export function entryRow(entry: Entry, isChosen: boolean, facts: RowFacts, now: number): Line {
  if (entry.kind === "heading")
    return row(facts.columns, [piece(`${entry.title} `, "muted"), piece(String(entry.count), "muted")]);
  const pointer: Piece = { ...piece(isChosen ? "› " : "  ", "accent"), bold: true };
  const columns = facts.columns - POINTER;
  const line = entry.kind === "fold" ? foldRow(entry, columns) : jobRow(entry, isChosen, { ...facts, columns }, now);
  return [pointer, ...line];
}

const POINTER = 2;

function jobRow(entry: JobEntry, isChosen: boolean, { columns, metric, asking }: RowFacts, now: number): Line {
  const { job, branch, below, isFolded } = entry;
  const start: Line = [
    ...(metric === null ? [] : [piece(`${entry.rank ?? "–"}`.padStart(3), "muted"), piece(" ")]),
    ...(branch === "" ? [] : [piece(branch, "muted")]),
  ];
  const right = [
    ...(metric === null ? [] : [numberOf(job, metric)]),
    ...(below === null || !isFolded ? [runningTimeOf(job, now), dollars(job.usd.model + job.usd.compute)] : []),
    ...(below === null ? [] : [sumOf(below)]),
  ].filter(Boolean);
  const room = columns - start.reduce((sum, { text }) => sum + columnsOf(text), 0);
  const [doing, tone] = doingNow(job, asking);
  const name: Piece = { ...piece(cut(job.description, Math.max(12, Math.floor(room * 0.55)))), bold: isChosen };
  const left = [
    markOf(job.state),
    ...(isFolded ? [piece("▸ ", "muted")] : []),
    name,
    ...(doing === "" ? [] : [piece(` ${doing}`, tone)]),
  ];
  return [...start, ...row(room, left, [piece(right.join(" · "), "muted")])];
}

/** Why a job has ended badly, what it does or waits for, or its numbers. */
function doingNow(job: JobView, asking: ReadonlySet<string>): readonly [string, Piece["tone"]] {
  if (asking.has(job.id)) return ["waits for your answer: press enter", "warning"];
  if (job.update && job.update.conflicts.length > 0)
    return [`${job.update.conflicts.length} files in conflict`, "warning"];
  if (job.error) return [errorOf(job), "muted"];
  if (job.endedAt !== undefined) return [metricsOf(job, 2) || (job.result ?? ""), "muted"];
  const doing = doingOf(job);
  if (doing === "") return [metricsOf(job, 2), "muted"];
  return [doing, job.reason === undefined || job.state === "queued" ? "muted" : "warning"];
}

function numberOf({ metrics }: JobView, metric: string): string {
  const found = Object.hasOwn(metrics, metric) ? metrics[metric] : undefined;
  return found === undefined ? "" : `${formatValue(found.value)}${found.step === undefined ? "" : `@${found.step}`}`;
}

/** "Σ 4 jobs 1h12 $3.20 1▶ 1✗" */
export function sumOf({ jobs, seconds, usd, running, failed }: RollUp): string {
  const marks = [running > 0 ? `${running}▶` : "", failed > 0 ? `${failed}✗` : ""];
  return [`Σ ${jobs} jobs`, ageOf(seconds * 1_000), dollars(usd), ...marks].filter(Boolean).join(" ");
}

function foldRow({ jobs, isOpen }: FoldEntry, columns: number): Line {
  const [first] = jobs;
  const why = first?.reason === undefined ? "" : `: ${first.reason}`;
  return row(
    columns,
    [markOf("queued"), piece(`${jobs.length} jobs wait${why}`, "muted")],
    [piece(isOpen ? "enter folds" : "enter lists them", "muted")],
  );
}
