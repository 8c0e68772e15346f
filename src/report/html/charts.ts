import type { MetricSource } from "../../core/run-task.ts";
import { formatNumber, formatValue } from "../../prompt/numbers.ts";
import { oneLine } from "../../shared/plain-text.ts";
import type { ReportBoard, ReportSeries } from "../report.ts";
import { type Html, html } from "./html.ts";
import { linear, type Scale } from "./scale.ts";
import { table } from "./table.ts";
import { count, usd } from "./words.ts";

const WIDTH = 520;
const HEIGHT = 260;
const BOX = { left: 58, right: WIDTH - 26, top: 12, bottom: HEIGHT - 34 };
/** Lines in one picture; more cannot be told apart. */
const MOST_LINES = 16;
const MOST_DOTS = 1_500;
/** Points of a line: more than a picture has room for. */
const MOST_POINTS = 120;

const axes = (x: Scale, y: Scale, xName: string, format: (value: number) => string = axisNumber): Html =>
  html`${y.ticks.map((tick) => html`<path class="grid" d="M${BOX.left} ${y.at(tick)}H${BOX.right}"/><text class="dim" x="${BOX.left - 4}" y="${y.at(tick) + 4}" text-anchor="end">${axisNumber(tick)}</text>`)}${x.ticks.map((tick) => html`<text class="dim" x="${x.at(tick)}" y="${BOX.bottom + 14}" text-anchor="middle">${format(tick)}</text>`)}<text class="dim" x="${(BOX.left + BOX.right) / 2}" y="${HEIGHT - 4}" text-anchor="middle">${xName}</text>`;

const dollars = (value: number): string => `$${axisNumber(value)}`;

const axisNumber = (value: number): string => formatNumber(value, 4);

/** Shapes besides colours. */
const DOTS: Readonly<Record<MetricSource, (x: number, y: number) => Html>> = {
  clean: (x, y) => html`<circle class="s2" cx="${x}" cy="${y}" r="4"/>`,
  snapshot: (x, y) => html`<rect class="s0" x="${x - 3.5}" y="${y - 3.5}" width="7" height="7"/>`,
  output: (x, y) => html`<path class="s3" d="M${x} ${y - 5}l5 9h-10z"/>`,
  reported: (x, y) => html`<circle class="s1 hollow" cx="${x}" cy="${y}" r="4"/>`,
};

/** Cost of each experiment against its number, by source; the leaderboard is the table to it. */
export function costChart(board: ReportBoard): Html {
  const dots = board.entries.filter(({ mean }) => typeof mean === "number").slice(0, MOST_DOTS);
  if (dots.length === 0) return html``;
  const x = linear([0, ...dots.map((dot) => dot.usd)], BOX.left, BOX.right);
  const y = linear(
    dots.map((dot) => Number(dot.mean)),
    BOX.bottom,
    BOX.top,
  );
  const sources = [...new Set(dots.map(({ source }) => source))];
  const name = oneLine(board.metric, 64);
  return html`<figure><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Cost against ${name}; the leaderboard has the same numbers">${axes(x, y, "USD", dollars)}
${dots.map((dot) => html`<g><title>${oneLine(dot.label || dot.description, 80)}: ${formatValue(dot.mean)}, ${usd(dot.usd)}, ${dot.source}</title>${DOTS[dot.source](x.at(dot.usd), y.at(Number(dot.mean)))}</g>\n`)}</svg>
<ul class="legend">${sources.map((source) => html`<li><svg viewBox="0 0 12 12" aria-hidden="true">${DOTS[source](6, 6)}</svg>${source}</li>`)}</ul>
<figcaption>${name} against cost${sources.length > 1 && "; numbers of different sources are not to be compared"}.${board.entries.length > dots.length && ` ${board.entries.length - dots.length} without a finite number, or past ${MOST_DOTS}, are not drawn.`}</figcaption></figure>`;
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
  const x = linear(
    points.map(([step]) => step),
    BOX.left,
    BOX.right,
  );
  const y = linear(
    points.map(([, value]) => Number(value)),
    BOX.bottom,
    BOX.top,
  );
  const name = oneLine(metric, 64);
  const label = (job: string) => oneLine(names.get(job) ?? job, 60);
  return html`<figure><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${name} over steps of ${count(lines.length, "job")}; the table below says the same">${axes(x, y, "step")}
${lines.map((line, index) => html`<g><title>${label(line.job)}</title>${draw(line, index, x, y)}</g>\n`)}</svg>
<ul class="legend">${lines.map(({ job }, index) => html`<li><svg viewBox="0 0 12 12" aria-hidden="true"><path class="line s${index % 8}"${dashOf(index)} d="M0 6H12"/></svg>${label(job)}</li>`)}</ul>
<figcaption>${name} over steps.${series.length > lines.length && ` ${lines.length} of ${series.length} jobs are drawn${best.length > 0 ? ", the best" : ""}.`}</figcaption></figure>
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
      kinds(one.notFinite).join(", "),
    ]),
  )}</details>`;
}

const dashOf = (index: number): Html | string => (index < 8 ? "" : html` stroke-dasharray="4 3"`);

/** What is not finite makes a gap; a point with none beside it is a dot. */
function draw({ points }: ReportSeries, index: number, x: Scale, y: Scale): Html {
  const stretches: (readonly [x: number, y: number])[][] = [[]];
  for (const [step, value] of points) {
    if (typeof value === "number") stretches.at(-1)?.push([x.at(step), y.at(value)]);
    else if (stretches.at(-1)?.length) stretches.push([]);
  }
  const stride = Math.ceil(points.length / MOST_POINTS);
  const kept = stretches.map((all) => all.filter((_, at) => at % stride === 0 || at === all.length - 1));
  const path = kept
    .filter((all) => all.length > 1)
    .map((all) => all.map(([left, top], at) => `${at === 0 ? "M" : "L"}${left} ${top}`).join(""))
    .join("");
  const dots = kept.flatMap((all) => (all.length === 1 ? all : []));
  return html`${path !== "" && html`<path class="line s${index % 8}"${dashOf(index)} d="${path}"/>`}${dots.map(([left, top]) => html`<circle class="s${index % 8}" cx="${left}" cy="${top}" r="3"/>`)}`;
}

const kinds = (counts: ReportSeries["notFinite"]): string[] =>
  Object.entries(counts).map(([value, n]) => `${n} ${value}`);

function extremes({ points }: ReportSeries): string[] {
  const numbers = points.map(([, value]) => Number(value)).filter(Number.isFinite);
  const show = (point: ReportSeries["points"][number] | undefined) => (point ? formatValue(point[1]) : "");
  const most = (pick: (a: number, b: number) => number) =>
    numbers.length === 0 ? "" : formatNumber(numbers.reduce(pick), 6);
  return [show(points[0]), show(points.at(-1)), most((a, b) => Math.min(a, b)), most((a, b) => Math.max(a, b))];
}
