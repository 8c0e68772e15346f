import { countText } from "../../core/experiments/missing.ts";
import { leastDifference } from "../../core/experiments/noise.ts";
import { cutShortText, MISSING_NOTE } from "../../prompt/leaderboard.ts";
import { oneLine } from "../../shared/plain-text.ts";
import { formatMean, formatNumber } from "../../views/numbers.ts";
import type { ReportBoard, ReportEntry } from "../report.ts";
import { type Html, html } from "./html.ts";
import { type Column, type Row, table } from "./table.ts";
import { count, SOURCE_WORDS, signed, usd } from "./words.ts";

const COLUMNS: readonly Column[] = [
  { title: "#", isNumber: true },
  { title: "mean ± deviation", isNumber: true },
  { title: "n", isNumber: true },
  { title: "source" },
  { title: "verdict" },
  { title: "vs parent", isNumber: true },
  { title: "vs best", isNumber: true },
  { title: "what" },
  { title: "cost", isNumber: true },
  { title: "GPU s", isNumber: true },
  { title: "job" },
];

/** Rows of the page; a longer list is whole in `--json` and `--csv`. */
export const MOST_ROWS = 1_000;

export function leaderboard(board: ReportBoard): Html {
  const { entries, metric } = board;
  const shown = entries.slice(0, MOST_ROWS);
  const ranked = shown.filter(({ unranked }) => unranked === null);
  const reasons = new Map<string, ReportEntry[]>();
  for (const entry of shown)
    if (entry.unranked !== null) reasons.set(entry.unranked, [...(reasons.get(entry.unranked) ?? []), entry]);
  const caption = `Experiments by ${oneLine(metric, 64)}`;
  return html`<h3>${oneLine(metric, 64)}</h3><p>${headOf(board, shown)}</p>
${noiseOf(board)}
${ranked.length > 0 && table(caption, COLUMNS, ranked.map(toRow))}
${[...reasons].map(
  ([reason, those]) =>
    html`<p class="warn">Not ranked${ranked.length > 0 ? ", and not to be read beside the numbers above" : ""}, because ${reason}:</p>${table(`${caption}, not ranked`, COLUMNS, those.map(toRow))}`,
)}
${shown.some(({ missing }) => missing !== undefined) && html`<p class="dim">${MISSING_NOTE}</p>`}
${entries.length > shown.length && html`<p class="warn">${count(entries.length - shown.length, "more row")} are in --json and --csv.</p>`}`;
}

function headOf(
  { direction, directionBy, count: n, ranked, scope }: ReportBoard,
  entries: readonly ReportEntry[],
): Html {
  const better =
    direction === null
      ? "Whether a smaller or a larger value is better is not known, so nothing is ranked."
      : `${direction === "min" ? "Smaller" : "Larger"} is better${directionBy === "name" ? ", guessed from its name" : ""}.`;
  const sources = [...new Set(entries.filter(({ unranked }) => unranked === null).map(({ source }) => source))];
  const by = sources.map((source) => `${source}: ${SOURCE_WORDS[source]}`).join("; ");
  const of = scope === "project" ? "this project, over all its sessions" : "this session";
  return html`${better} ${count(n, "experiment")} of ${of}, ${ranked} ranked.${by && ` Ranked numbers are ${by}.`}`;
}

function noiseOf({ noise, areRepeatsEqual, cutShort = 0, control, ranked }: ReportBoard): Html | false {
  if (ranked === 0) return false;
  const against =
    control &&
    html` Verdicts are against what an experiment started from, else against the control ${control.job} (${oneLine(control.description, 80)}).`;
  const leftOut = cutShort > 0 && ` ${cutShortText(cutShort)}`;
  const why = areRepeatsEqual ? "the repeats are all equal (does the command use SEED?)" : "nothing was measured twice";
  if (noise === null) return html`<p class="dim">Noise floor: not known, as ${why}.${against}${leftOut}</p>`;
  const least = formatNumber(leastDifference(noise, 1, 1), 2);
  const how =
    noise.source === "seeds" ? "the deviation over seeds" : `from how far all experiments lie apart, as ${why}`;
  return html`<p class="dim">Noise floor: ${formatNumber(noise.value, 2)}, ${how}; two single measurements differ by more than noise from ${least} on.${against}${leftOut}</p>`;
}

function toRow(entry: ReportEntry): Row {
  return [
    entry.rank ?? "",
    { shown: formatMean(entry), by: String(entry.mean) },
    { shown: countText(entry), by: entry.n },
    entry.source,
    entry.verdict && html`<span class="v-${entry.verdict}">${entry.verdict}</span>`,
    signed(entry.deltaParent),
    entry.rank === 1 ? "" : signed(entry.deltaBest),
    what(entry),
    { shown: usd(entry.usd), by: entry.usd },
    entry.gpuSeconds > 0 && { shown: String(Math.round(entry.gpuSeconds)), by: entry.gpuSeconds },
    html`<a href="#${entry.job}">${entry.job}</a>`,
  ].map((cell) => (cell === false || cell === null ? "" : cell));
}

export const what = ({ label, description, params }: Pick<ReportEntry, "label" | "description" | "params">): string =>
  oneLine(`${label || description} ${paramWords(params)}`, 200);

export const paramWords = (params: Readonly<Record<string, string | number>> | undefined): string =>
  Object.entries(params ?? {})
    .map(([name, value]) => `${oneLine(name, 40)}=${oneLine(String(value), 60)}`)
    .join(" ");
