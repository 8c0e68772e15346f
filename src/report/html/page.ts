import { createHash } from "node:crypto";
import { oneLine } from "../../shared/plain-text.ts";
import { REPORT_KIND, type Report, type ReportBoard, type ReportEntry } from "../report.ts";
import { costChart, seriesChart } from "./charts.ts";
import { Html, html } from "./html.ts";
import { jobDetails, jobTable } from "./jobs.ts";
import { leaderboard, paramWords, what } from "./leaderboards.ts";
import { lineage, type Node } from "./lineage.ts";
import { SCRIPT } from "./script.ts";
import { spend, usage } from "./spend.ts";
import { STYLE } from "./style.ts";
import { timeline } from "./timeline.ts";
import { count, moment, STATE_MARKS, usd } from "./words.ts";

/** Leaderboards and pictures of series on the page; `--json` has all. */
const MOST_BOARDS = 8;
const MOST_SERIES = 12;

/** The report as one page that needs nothing else: no network, no other file. */
export function renderPage(report: Report): string {
  const { session, jobs, leaderboards, problems } = report;
  const boards = leaderboards.slice(0, MOST_BOARDS);
  const [first] = boards;
  const title = `Report of ${session}`;
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="generator" content="${REPORT_KIND}">
<meta http-equiv="Content-Security-Policy" content="${policy()}">
<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="referrer" content="no-referrer"><title>${title}</title><style>${new Html(STYLE)}</style></head><body>
<header><h1>${title}</h1><p class="dim">${moment(report.at)}${report.isLive && ", while OpenCode has the session in use"}${report.redacted && "; prompts, commands, outputs, results, error messages, notes, names of branches and paths are left out"}</p>
${facts(report)}
${problems.map((problem) => html`<p class="warn">${oneLine(problem, 1_000)}</p>`)}
<nav aria-label="Sections">${SECTIONS.map(([id, name]) => html`<a href="#${id}">${name}</a>`)}</nav></header><main>
<section id="leaderboard"><h2>Leaderboard</h2>${boards.length === 0 ? html`<p>No experiment has a number.</p>` : boards.map(leaderboard)}${
    leaderboards.length > boards.length &&
    html`<p class="warn">${count(leaderboards.length - boards.length, "more metric")} in --json and --csv: ${leaderboards
      .slice(MOST_BOARDS)
      .map(({ metric }) => oneLine(metric, 40))
      .join(", ")
      .slice(0, 2_000)}.</p>`
  }</section>
<section id="lineage"><h2>Lineage</h2>${lineage(nodesOf(report, first), first?.metric ?? null)}</section>
<section id="timeline"><h2>Timeline</h2>${jobs.length > 0 && timeline(jobs, report.at)}</section>
<section id="spend"><h2>Spend</h2>${spend(report)}</section>
<section id="numbers"><h2>Numbers</h2>${numbers(report, boards)}</section>
<section id="use"><h2>Use</h2>${usage(report)}</section>
<section id="jobs"><h2>Jobs</h2>${jobTable(report)}<h3>Each job, and what is needed to repeat it</h3><p><input type="search" hidden data-of="jobs" aria-label="Show jobs with these words" placeholder="Show jobs with these words"></p>${jobDetails(report)}</section>
</main><script>${new Html(SCRIPT)}</script></body></html>
`;
  return page.markup;
}

const SECTIONS = [
  ["leaderboard", "Leaderboard"],
  ["lineage", "Lineage"],
  ["timeline", "Timeline"],
  ["spend", "Spend"],
  ["numbers", "Numbers"],
  ["use", "Use"],
  ["jobs", "Jobs"],
] as const;

/** Nothing may be loaded, sent or run but what is in the page itself. */
const policy = (): string =>
  `default-src 'none'; style-src '${hashOf(STYLE)}'; script-src '${hashOf(SCRIPT)}'; base-uri 'none'; form-action 'none'`;

const hashOf = (text: string): string => `sha256-${createHash("sha256").update(text).digest("base64")}`;

function facts({ jobs, spend: total }: Report): Html {
  const states = Object.entries(STATE_MARKS)
    .map(([state, mark]) => ({ mark, state, n: jobs.filter((job) => job.state === state).length }))
    .filter(({ n }) => n > 0);
  const agents = jobs.filter(({ kind }) => kind === "agent").length;
  return html`<ul class="facts"><li><b>${jobs.length}</b>${count(agents, "agent")}, ${count(jobs.length - agents, "run")}</li>${states.map(({ mark, state, n }) => html`<li class="t-${state}"><b>${mark} ${n}</b>${state}</li>`)}<li><b>${usd(total.usd)}</b>spent</li></ul>`;
}

function nodesOf({ jobs, recipes }: Report, board: ReportBoard | undefined): Node[] {
  const entries = new Map<string, ReportEntry>(board?.entries.map((entry) => [entry.job, entry]));
  const ids = new Set(jobs.map(({ id }) => id));
  const parents = new Set(recipes.map(({ parent }) => parent));
  const tried = recipes.filter(({ job }) => ids.has(job) || entries.has(job) || parents.has(job));
  return tried.map(({ job, parent, description }) => {
    const entry = entries.get(job) ?? null;
    return { id: job, parent, label: entry ? what(entry) : description, entry };
  });
}

function numbers({ series, recipes }: Report, boards: readonly ReportBoard[]): Html {
  const names = new Map(recipes.map(({ job, description, params }) => [job, `${description} ${paramWords(params)}`]));
  const metrics = [...new Set(series.map(({ metric }) => metric))];
  const order = boards.map(({ metric }) => metric);
  const sorted = metrics.sort((a, b) => rank(order, a) - rank(order, b));
  const best = boards[0]?.entries.map(({ job }) => job) ?? [];
  const charts = sorted.slice(0, MOST_SERIES).map((metric) => html`<div>${seriesChart(metric, series.filter((one) => one.metric === metric), best, names)}</div>`); // biome-ignore format: one line
  return html`<div class="charts">${boards.slice(0, 4).map((board) => html`<div>${costChart(board)}</div>`)}${charts}</div>${metrics.length === 0 && html`<p>No job reported a number over steps.</p>`}${sorted.length > MOST_SERIES && html`<p class="warn">${count(sorted.length - MOST_SERIES, "more metric")} over steps in --json.</p>`}`;
}

const rank = (order: readonly string[], metric: string): number => {
  const index = order.indexOf(metric);
  return index < 0 ? order.length : index;
};
