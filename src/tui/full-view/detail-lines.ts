import type { SeriesRecord } from "../../core/series.ts";
import { jobGpuWords } from "../../views/gpu-totals.ts";
import type { JobView } from "../../views/job-view.ts";
import { formatValue } from "../../views/numbers.ts";
import { describePorts, PUBLIC_PORTS } from "../../views/ports.ts";
import { dollars, errorOf, markOf, runningTimeOf } from "../format.ts";
import { columnsOf, cut, type Line, piece, row, type Tone } from "../text.ts";
import type { Doing } from "./doing.ts";
import { sparkline } from "./sparkline.ts";
import { lastRows, wrapText } from "./wrap.ts";

/** What is known of a job besides its view. */
export interface DetailFacts {
  readonly columns: number;
  /** Its command or its prompt; null = not known. */
  readonly task: string | null;
  /** What its conversation shows at the moment. */
  readonly doing: Doing;
  readonly series: ReadonlyMap<string, SeriesRecord>;
  /** The description of the job it started from, where that is known. */
  readonly parent: string | null;
  /** Ids of jobs that were made from it. */
  readonly children: number;
}

/** Everything that is shown of one job, the most urgent first. @param now epoch ms */
export function detailLines(job: JobView, facts: DetailFacts, now: number): readonly Line[] {
  const { columns } = facts;
  return [
    ...headLines(job, columns, now),
    ...said(job.error === undefined ? "" : errorOf(job), columns, job.stopped ? "warning" : "bad", 8),
    ...said(job.reason ?? "", columns, "warning", 3),
    ...said(conflictsOf(job), columns, "warning", 4),
    ...metricLines(job, facts),
    ...nowLines(job, facts),
    ...section("Result", wrapText(job.result ?? "", columns, MOST_RESULT)),
    ...section(job.kind === "run" ? "Command" : "Prompt", wrapText(facts.task ?? "", columns, MOST_TASK)),
    ...section(
      "Notes",
      job.notes.flatMap((note) => wrapText(`• ${note}`, columns, 4)),
    ),
    ...section(
      "About",
      aboutOf(job, facts).flatMap((text) => wrapText(text, columns, 4)),
    ),
  ];
}

function headLines(job: JobView, columns: number, now: number): readonly Line[] {
  const { model, compute } = job.usd;
  const cost = [dollars(model) && `model ${dollars(model)}`, dollars(compute) && `compute ${dollars(compute)}`];
  const exit = job.exitCode === undefined ? "" : `exit code ${job.exitCode}`;
  const facts = [job.state, exit, runningTimeOf(job, now), ...cost].filter(Boolean).join(" · ");
  return [
    ...wrapText(job.description, columns, 3).map((text): Line => [{ ...piece(text), bold: true }]),
    row(columns, [markOf(job.state), piece(facts)], [piece(job.id, "muted")]),
  ];
}

function metricLines({ metrics }: JobView, { columns, series }: DetailFacts): readonly Line[] {
  const names = Object.keys(metrics);
  const shown = names.slice(0, MOST_METRICS).map((name) => [name, cut(name, WIDEST_NAME)] as const);
  const width = Math.max(0, ...shown.map(([, text]) => columnsOf(text)));
  const lines = shown.map(([name, text]): Line => {
    const { value, step, source } = metrics[name] as JobView["metrics"][string];
    const record = series.get(name);
    const number = `${formatValue(value)}${step === undefined ? "" : ` @${step}`}`;
    const head = [piece(text, "muted"), piece(" ".repeat(width - columnsOf(text) + 1)), piece(`${number} `)];
    const curve = record && record.points.length > 1 ? sparkline(record, Math.min(40, columns - width - 30)) : "";
    const reports = record && record.reports > 1 ? ` ${record.reports} reports` : "";
    return row(columns, [...head, piece(curve, "accent"), piece(`${reports} ${source}`, "muted")]);
  });
  const left = names.length - MOST_METRICS;
  return titled("Metrics", left > 0 ? [...lines, [piece(`and ${left} more`, "muted")]] : lines);
}

/** What a job does now: the command that its conversation runs with its newest output, or its own words. */
function nowLines(job: JobView, { columns, doing }: DetailFacts): readonly Line[] {
  if (job.endedAt !== undefined) return section("Last status", wrapText(job.status ?? "", columns, 3));
  const command = doing.command === "" && job.kind === "agent" ? (job.tool ?? "") : doing.command;
  return titled(job.state === "interrupted" ? "When it was interrupted" : "Now", [
    ...wrapText(job.status ?? "", columns, 3).map((text): Line => [piece(text)]),
    ...wrapText(command, columns, 4).map((text): Line => [piece(text, "accent")]),
    ...lastRows(doing.output, columns, MOST_OUTPUT).map((text): Line => [piece(text, "muted")]),
  ]);
}

function aboutOf(job: JobView, { parent, children }: DetailFacts): readonly string[] {
  const { input, output, cached, reasoning } = job.tokens;
  const tokens = input + output + cached + reasoning;
  const forked = job.parent === undefined ? "" : `forked from ${job.parent}${parent === null ? "" : ` "${parent}"`}`;
  const params = Object.entries(job.params ?? {}).map(([name, value]) => `${name}=${value}`);
  const place = [job.provider, job.environment, job.gpu, ...counted(job.devices ?? []), `sandbox ${job.sandbox}`];
  const model = [job.agent, job.model, job.variant, `turns ${job.turns}`, tokens > 0 ? `tokens ${tokens}` : ""];
  const about = [
    params.join(" "),
    place.filter(Boolean).join(" · "),
    job.gpuUse === undefined ? "" : `GPU time used: ${jobGpuWords(job.gpuUse)}`,
    job.kind === "run" ? "" : model.filter(Boolean).join(" · "),
    [forked, children > 0 ? `jobs made from it: ${children}` : ""].filter(Boolean).join(" · "),
    job.startedBy === undefined ? "" : `started by ${job.startedBy}`,
    job.attempts === undefined ? "" : `attempts: ${job.attempts}`,
    (job.ports ?? []).length === 0 ? "" : `${describePorts(job)}. ${PUBLIC_PORTS}.`,
    job.snapshot === undefined ? "" : `its files are in snapshot ${job.snapshot}`,
    job.sessionID === undefined ? "" : `conversation ${job.sessionID}`,
  ];
  return about.filter((text) => text !== "");
}

/** "2 × NVIDIA H200" */
const counted = (names: readonly string[]): string[] =>
  [...new Set(names)].map((name) => {
    const count = names.filter((one) => one === name).length;
    return count === 1 ? name : `${count} × ${name}`;
  });

const conflictsOf = ({ update }: JobView): string =>
  update === undefined || update.conflicts.length === 0
    ? ""
    : `In conflict: ${update.conflicts.slice(0, 20).join(", ")}`;

const said = (text: string, columns: number, tone: Tone, most: number): readonly Line[] =>
  text === "" ? [] : wrapText(text, columns, most).map((one): Line => [piece(one, tone)]);

const section = (title: string, rows: readonly string[]): readonly Line[] =>
  titled(title, rows.join("") === "" ? [] : rows.map((text): Line => [piece(text)]));

/** Nothing at all where there is nothing to say. */
const titled = (title: string, lines: readonly Line[]): readonly Line[] =>
  lines.length === 0 ? [] : [[], [{ ...piece(title, "muted"), bold: true }], ...lines];

const MOST_METRICS = 12;
const WIDEST_NAME = 24;
const MOST_RESULT = 200;
const MOST_TASK = 60;
const MOST_OUTPUT = 12;
