import { countText } from "../core/experiments/missing.ts";
import type { ToldApart } from "../core/told-apart.ts";
import { countExperiments, type Leaderboard, type LeaderboardEntry, standingWord } from "../views/leaderboard.ts";
import { formatMean, formatValue } from "../views/numbers.ts";
import { describe, paramsOf, QUOTES, renderCommon, renderHead, renderNoise, renderParams } from "./leaderboard.ts";
import { toFact } from "./quoted-text.ts";

/** Bytes of what a summary keeps of experiments. */
const SUMMARY_LIMIT = 4_000;
const MOST_BEST = 8;
/** Bytes of what was tried besides the best. */
const TRIED_LIMIT = 1_200;

/**
 * What a summary of the conversation must keep of the experiments: the best, the noise, and what was tried, from the record
 * alone. How they are to be read and what to do comes first and last, whatever else there is room for. "" where nothing was
 * measured.
 */
export function renderExperimentsSummary(board: Leaderboard): string {
  const { metric, entries, count } = board;
  if (metric === null || entries.length === 0) return "";
  const apart = paramsOf(entries);
  const first = [INTRODUCTION, renderHead(board), ...renderNoise(board)];
  const common = renderCommon(apart);
  let left = SUMMARY_LIMIT - bytes([...first, ...common, ...lastLines(count)]);
  const ranked = entries.filter(({ view }) => view.rank !== undefined).slice(0, MOST_BEST);
  const best = fitting(ranked, (entry) => renderBest(entry, apart), left);
  left -= bytes(best.texts);
  const others = entries.filter((entry) => !ranked.includes(entry));
  const tried = fitting(
    others,
    (entry) => renderTried(entry, apart),
    Math.min(TRIED_LIMIT, left - bytes([toTried([])])),
  );
  return [
    ...first,
    ...best.texts,
    ...(tried.texts.length > 0 ? [toTried(tried.texts)] : []),
    ...common,
    ...lastLines(count - countExperiments([...best.shown, ...tried.shown])),
  ].join("\n");
}

const INTRODUCTION =
  "Experiments as they are recorded, which is what counts where the conversation says otherwise. Keep this list in the summary, with every number, job and snapshot as written.";

const lastLines = (more: number): string[] => [
  `${more > 0 ? `${more} more ${more === 1 ? "is" : "are"} recorded. ` : ""}Call experiments_list before you try something: it has all that was tried, in earlier sessions of the project too.`,
  QUOTES,
];

const SEPARATOR = "; ";
const toTried = (texts: readonly string[]): string => `Tried as well: ${texts.join(SEPARATOR)}.`;

/** With what separates each from the next. */
const bytes = (texts: readonly string[]): number =>
  texts.reduce((sum, text) => sum + Buffer.byteLength(text) + SEPARATOR.length, 0);

/** The first of these that there is room for. */
function fitting(entries: readonly LeaderboardEntry[], render: (entry: LeaderboardEntry) => string, room: number) {
  const texts: string[] = [];
  let used = 0;
  for (const entry of entries) {
    const text = render(entry);
    used += bytes([text]);
    if (used > room) break;
    texts.push(text);
  }
  return { texts, shown: entries.slice(0, texts.length) };
}

function renderBest({ view, label }: LeaderboardEntry, apart: ToldApart): string {
  const { rank, source, verdict, job, snapshot } = view;
  const facts = [
    `${formatMean(view)} (${[`n ${countText(view)}`, source, ...(verdict === null ? [] : [verdict])].join(", ")})`,
    describe(view, label, apart),
    job,
    ...(snapshot === undefined ? [] : [`snapshot ${snapshot}`]),
  ];
  return `${rank}. ${facts.join(" · ")}`;
}

/** Of one that is not ranked with how it was measured, as it may not be comparable. */
function renderTried(entry: LeaderboardEntry, apart: ToldApart): string {
  const { view } = entry;
  const { description, mean, verdict, rank, source } = view;
  const how = rank === undefined ? ` (${[source, standingWord(entry)].filter(Boolean).join(", ")})` : "";
  return `${renderParams(view, apart) || toFact(description, 40)} ${formatValue(mean)}${how}${verdict === null ? "" : ` ${verdict}`}`;
}
