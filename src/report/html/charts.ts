import type { MetricSource } from "../../core/run-task.ts";
import { oneLine } from "../../shared/plain-text.ts";
import { formatNotFinite, formatNumber, formatValue } from "../../views/numbers.ts";
import { tickLabels } from "../../views/tick-labels.ts";
import type { ReportBoard, ReportEntry, ReportSeries } from "../report.ts";
import { type Html, html } from "./html.ts";
import { linear, type Scale } from "./scale.ts";
import { table } from "./table.ts";
import { count, usd } from "./words.ts";

const WIDTH = 520;
const HEIGHT = 260;
const BOX = { right: WIDTH - 26, top: 12, bottom: HEIGHT - 34 };
/** Lines in one picture; more cannot be told apart. */
const MOST_LINES = 16;
const MOST_DOTS = 1_500;
/** Of a character on an axis, about. */
const CHARACTER = 6.5;

/** The scales of a chart and the axes that name their ticks, at whose left side the longest name has room. */
function toAxes(xs: readonly number[], ys: readonly number[], xName: string, xUnit = "") {
  const y = linear(ys, BOX.bottom, BOX.top);
  const names = tickLabels(y.ticks);
  const left = Math.max(58, 10 + CHARACTER * Math.max(...names.map(({ length }) => length)));
  const x = linear(xs, left, BOX.right);
  const rows = y.ticks.map((tick, index) => html`<path class="grid" d="M${left} ${y.at(tick)}H${BOX.right}"/><text class="dim" x="${left - 4}" y="${y.at(tick) + 4}" text-anchor="end">${names[index]}</text>`); // biome-ignore format: one line
  const columns = tickLabels(x.ticks).map((name, index) => html`<text class="dim" x="${x.at(x.ticks[index] ?? 0)}" y="${BOX.bottom + 14}" text-anchor="middle">${xUnit}${name}</text>`); // biome-ignore format: one line
  const axes = html`${rows}${columns}<text class="dim" x="${(left + BOX.right) / 2}" y="${HEIGHT - 4}" text-anchor="middle">${xName}</text>`;
  return { x, y, axes };
}

type Dot = (x: number, y: number, hollow: string) => Html;

/** Shapes besides colours. */
const DOTS: Readonly<Record<MetricSource, Dot>> = {
  clean: (x, y, hollow) => html`<circle class="s2${hollow}" cx="${x}" cy="${y}" r="4"/>`,
  snapshot: (x, y, hollow) => html`<rect class="s0${hollow}" x="${x - 3.5}" y="${y - 3.5}" width="7" height="7"/>`,
  output: (x, y, hollow) => html`<path class="s3${hollow}" d="M${x} ${y - 5}l5 9h-10z"/>`,
  reported: (x, y, hollow) => html`<path class="s1${hollow}" d="M${x} ${y - 5}l5 5l-5 5l-5-5z"/>`,
};

/** Cost of each experiment against its number, by source; the leaderboard is the table to it. */
export function costChart(board: ReportBoard): Html {
  const dots = board.entries.filter(({ mean }) => typeof mean === "number").slice(0, MOST_DOTS);
  if (dots.length === 0) return html``;
  const { x, y, axes } = toAxes(
    [0, ...dots.map((dot) => dot.usd)],
    dots.map((dot) => Number(dot.mean)),
    "USD",
    "$",
  );
  const sources = [...new Set(dots.map(({ source }) => source))];
  const name = oneLine(board.metric, 64);
  const isUnranked = (dot: ReportEntry) => dot.unranked !== null;
  return html`<figure><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Cost against ${name}; the leaderboard has the same numbers">${axes}
${dots.map((dot) => html`<g><title>${oneLine(dot.label || dot.description, 80)}: ${formatValue(dot.mean)}, ${usd(dot.usd)}, ${dot.source}${isUnranked(dot) && ", not ranked"}</title>${DOTS[dot.source](x.at(dot.usd), y.at(Number(dot.mean)), isUnranked(dot) ? " hollow" : "")}</g>\n`)}</svg>
<ul class="legend">${sources.map((source) => html`<li><svg viewBox="0 0 12 12" aria-hidden="true">${DOTS[source](6, 6, "")}</svg>${source}</li>`)}</ul>
<figcaption>${name} against cost${sources.length > 1 && "; numbers of different sources are not to be compared"}.${dots.some(isUnranked) && " Hollow: not ranked, for the reason that the leaderboard gives."}${board.entries.length > dots.length && ` ${board.entries.length - dots.length} without a finite number, or past ${MOST_DOTS}, are not drawn.`}</figcaption></figure>`;
}

/** A metric over steps, a line for each job. @param best jobs to draw first, where there are too many */
export function seriesChart(
  metric: string,
  series: readonly ReportSeries[],
  best: readonly string[],
  names: ReadonlyMap<string, string>,
): Html {
  const place = new Map(best.map((job, index) => [job, index]));
  const order = (one: ReportSeries) => place.get(one.job) ?? best.length;
  const lines = [...series].sort((a, b) => order(a) - order(b)).slice(0, MOST_LINES);
  const points = lines.flatMap((line) => line.points);
  const { x, y, axes } = toAxes(
    points.map(([step]) => step),
    points.map(([, value]) => Number(value)),
    "step",
  );
  const name = oneLine(metric, 64);
  const label = (job: string) => oneLine(names.get(job) ?? job, 60);
  return html`<figure><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${name} over steps of ${count(lines.length, "job")}; the table below says the same">${axes}
${lines.map((line, index) => html`<g><title>${label(line.job)}</title>${draw(line, index, x, y)}</g>\n`)}</svg>
<ul class="legend">${lines.map(({ job }, index) => html`<li><svg viewBox="0 0 12 12" aria-hidden="true"><path class="line s${index % 8}"${dashOf(index)} d="M0 6H12"/></svg>${label(job)}</li>`)}</ul>
<figcaption>${name} over steps.${points.some(isNotFinite) && " ×: not a finite number."}${series.length > lines.length && ` ${lines.length} of ${series.length} jobs are drawn${best.length > 0 ? ", the best" : ""}.`}</figcaption></figure>
<details><summary>${name} as a table</summary>${table(
    `${name} over steps`,
    [
      { title: "job" },
      { title: "what" },
      { title: "source" },
      ...["reports", "first", "last", "smallest", "largest"].map((title) => ({ title, isNumber: true })),
      { title: "not finite" },
    ],
    series.map((one) => [
      html`<a href="#${one.job}">${one.job}</a>`,
      label(one.job),
      one.source ?? "",
      one.reports,
      ...extremes(one),
      formatNotFinite(one.notFinite),
    ]),
  )}</details>`;
}

const dashOf = (index: number): Html | string => (index < 8 ? "" : html` stroke-dasharray="4 3"`);

/** What is not finite makes a gap and a cross below it; a point with none beside it is a dot. */
function draw({ points }: ReportSeries, index: number, x: Scale, y: Scale): Html {
  const stretches: (readonly [x: number, y: number])[][] = [[]];
  for (const [step, value] of points) {
    if (typeof value === "number") stretches.at(-1)?.push([x.at(step), y.at(value)]);
    else if (stretches.at(-1)?.length) stretches.push([]);
  }
  const path = stretches
    .filter((all) => all.length > 1)
    .map((all) => all.map(([left, top], at) => `${at === 0 ? "M" : "L"}${left} ${top}`).join(""))
    .join("");
  const dots = stretches.flatMap((all) => (all.length === 1 ? all : []));
  const crosses = points.filter(isNotFinite).map(([step]) => `M${x.at(step) - 3} ${BOX.bottom - 3}l6 6m0-6l-6 6`);
  return html`${path !== "" && html`<path class="line s${index % 8}"${dashOf(index)} d="${path}"/>`}${dots.map(([left, top]) => html`<circle class="s${index % 8}" cx="${left}" cy="${top}" r="3"/>`)}${crosses.length > 0 && html`<path class="s${index % 8} hollow" d="${[...new Set(crosses)].join("")}"/>`}`;
}

const isNotFinite = ([, value]: ReportSeries["points"][number]): boolean => typeof value === "string";

function extremes({ points }: ReportSeries): string[] {
  const numbers = points.map(([, value]) => Number(value)).filter(Number.isFinite);
  const show = (point: ReportSeries["points"][number] | undefined) => (point ? formatValue(point[1]) : "");
  const most = (pick: (a: number, b: number) => number) =>
    numbers.length === 0 ? "" : formatNumber(numbers.reduce(pick), 6);
  return [show(points[0]), show(points.at(-1)), most((a, b) => Math.min(a, b)), most((a, b) => Math.max(a, b))];
}
