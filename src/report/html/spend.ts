import { oneLine } from "../../shared/plain-text.ts";
import { gpuUseWords, unmeasuredWords } from "../../views/gpu-totals.ts";
import type { Report } from "../report.ts";
import { type Html, html } from "./html.ts";
import { linear } from "./scale.ts";
import { count, duration, usd } from "./words.ts";

const WIDTH = 1100;
const LEFT = 190;
const ROW = 18;
const MOST_BARS = 30;

/** What the session cost, and which jobs most of it; the table of jobs has all. */
export function spend({ spend: total, jobs }: Report): Html {
  const costly = jobs
    .map((job) => ({ job, sum: job.usd.model + job.usd.compute }))
    .filter(({ sum }) => sum > 0)
    .sort((a, b) => b.sum - a.sum);
  const shown = costly.slice(0, MOST_BARS);
  const { budgetUsd } = total;
  const of = budgetUsd === null ? "" : ` of ${usd(budgetUsd)} that the session may spend`;
  const x = linear([0, ...shown.map(({ sum }) => sum)], LEFT, WIDTH - 80);
  return html`<p>${usd(total.usd)}${of}: ${usd(total.modelUsd)} for models, ${usd(total.computeUsd)} for sandboxes.${total.usdPerHour > 0 && ` Live sandboxes cost up to ${usd(total.usdPerHour)} an hour.`}</p>
${
  shown.length > 0 &&
  html`<figure><svg viewBox="0 0 ${WIDTH} ${shown.length * ROW + 6}" role="img" aria-label="Spend of the ${count(shown.length, "job")} that cost most; the table of jobs has all">${shown.map(
    ({ job, sum }, index) => {
      const y = index * ROW + 3;
      const [from, middle, to] = [x.at(0), x.at(job.usd.model), x.at(sum)];
      return html`<g><title>${usd(job.usd.model)} model, ${usd(job.usd.compute)} compute</title><text x="${LEFT - 6}" y="${y + 11}" text-anchor="end">${oneLine(job.description, 26)}</text><rect class="model" x="${from}" y="${y}" width="${width(from, middle)}" height="12"/><rect class="compute" x="${middle}" y="${y}" width="${width(middle, to)}" height="12"/><text class="dim" x="${to + 4}" y="${y + 11}">${usd(sum)}</text></g>\n`;
    },
  )}</svg><ul class="legend"><li><svg viewBox="0 0 12 12" aria-hidden="true"><rect class="model" width="12" height="12"/></svg>model, at the left</li><li><svg viewBox="0 0 12 12" aria-hidden="true"><rect class="compute" width="12" height="12"/></svg>compute, at the right</li></ul>${costly.length > shown.length && html`<figcaption>The ${MOST_BARS} jobs that cost most, of ${costly.length}.</figcaption>`}</figure>`
}`;
}

const width = (from: number, to: number): number => Math.round((to - from) * 10) / 10;

const NOT_KNOWN = "not known";

/** Numbers of use, each said to be unknown where it is. */
export function usage({ usage: { branches, toFirstReply, toFirstCommand, gpu } }: Report): Html {
  const { collected, merged, gone } = branches;
  const later =
    merged === null
      ? "; which of them are merged is not known, as git was not asked in their project"
      : `; ${merged} merged since, ${gone} deleted since`;
  const spread = (one: typeof toFirstReply) =>
    one === null
      ? NOT_KNOWN
      : `${duration(one.median)} in the middle, ${duration(one.longest)} at most, over ${count(one.n, "job")}`;
  return html`<dl>
<dt>Branches collected</dt><dd>${collected}${collected > 0 && later}</dd>
<dt>From start to first model reply</dt><dd>${spread(toFirstReply)}</dd>
<dt>From start to first command</dt><dd>${spread(toFirstCommand)}</dd>
<dt>Share of GPU time used</dt><dd>${gpu === null ? "no job held a GPU" : [gpuUseWords(gpu), ...unmeasuredWords(gpu)].join("; ")}</dd>
</dl>`;
}
