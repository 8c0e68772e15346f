import { closest } from "../config/spelling.ts";
import { inQuotes, nameList } from "../shared/plain-text.ts";
import { highestRung, rungsOf } from "./early-stopping.ts";
import { isScaled } from "./metric-unit.ts";
import type { CountedLines, MisplacedLines } from "./misplaced-lines.ts";
import type { NumberSeries } from "./number-series.ts";
import type { RepeatedStep, RepeatedSteps } from "./repeated-steps.ts";
import type { RunTask, StopRule } from "./run-task.ts";
import { MOST_METRICS, type Point, positionOf } from "./series.ts";

/** What was seen of a run's metrics when its command has ended. */
export interface SeenMetrics {
  readonly names: readonly string[];
  /** Names beyond the most that a job may have. */
  readonly refused: readonly string[];
  /** `METRIC` lines that could not be read. */
  readonly unreadable: CountedLines | null;
  /** `METRIC` lines of which not every metric could be read. */
  readonly readInPart: CountedLines | null;
  /** `METRIC` that does not begin its line. */
  readonly misplaced: Pick<MisplacedLines, "lost">;
  /** What followed the text of each metric. */
  readonly numbers: ReadonlyMap<string, Pick<NumberSeries, "unread" | "unit">>;
  /** Steps at which a metric had several values. */
  readonly repeated: Pick<RepeatedSteps, "found">;
  /** Lines that have the text of a metric in other letters, upper case for lower case. */
  readonly inOtherCase: ReadonlyMap<string, string>;
  /** Those of the metric that early stopping compares. */
  readonly stopPoints: readonly Point[];
}

const QUOTE_LIMIT = 120;

/**
 * What is to be said of the metrics of a run whose command has ended, one sentence or two each.
 * @param isWhole whether it ended by itself; of one that was stopped nothing is missing
 */
export function metricNotes(
  { metrics, stop }: Pick<RunTask, "metrics" | "stop">,
  seen: SeenMetrics,
  isWhole = true,
): readonly string[] {
  const wanted = [...new Set([...Object.keys(metrics), ...(stop ? [stop.metric] : [])])];
  const came = new Set([...seen.names, ...seen.refused]);
  const missing = isWhole ? wanted.filter((name) => !came.has(name)) : [];
  const misplaced = seen.misplaced.lost(came);
  return [
    ...missing.map((name) => {
      const text = Object.hasOwn(metrics, name) ? metrics[name] : undefined;
      const after = text === undefined ? "" : `, and none has a number after ${inQuotes(text, QUOTE_LIMIT)}`;
      const line = seen.numbers.get(name)?.unread ? `${after} that could be read` : after;
      const meant = closest(name, seen.names);
      const other = seen.inOtherCase.get(name);
      return [
        `The metric ${inQuotes(name)} never came: no line of the output is "METRIC ${name}=…"${line}.`,
        meant === undefined ? "" : ` There was ${inQuotes(meant)}.`,
        other === undefined ? "" : ` There was a line with other capital letters: ${inQuotes(other, QUOTE_LIMIT)}.`,
        stop?.metric === name ? " So early stopping did not compare this run with the others." : "",
      ].join("");
    }),
    ...(stop && isWhole ? neverCompared(stop, seen.stopPoints) : []),
    ...[...seen.repeated.found].flatMap(([name, repeated]) =>
      repeated.count > 1 ? [describeRepeated(name, repeated)] : [],
    ),
    ...[...seen.numbers].flatMap(([name, { unread, unit }]) => [
      ...(unread ? [describeUnread(name, unread)] : []),
      ...(unit !== null && isScaled(unit) ? [describeUnit(name, unit)] : []),
    ]),
    ...(seen.unreadable ? [`${count(seen.unreadable, "could not be read")} ${FORM}`] : []),
    ...(seen.readInPart ? [`${count(seen.readInPart, "could be read in part only")} ${FORM}`] : []),
    ...(misplaced
      ? [
          `${count(misplaced, "did not count, because METRIC, in capitals and with a space behind it, does not begin the line, or is drawn over by another")} ${FORM} ${BARS}`,
        ]
      : []),
    ...(seen.refused.length > 0
      ? [`Metrics not kept, because a job has at most ${MOST_METRICS}: ${listNames(seen.refused)}.`]
      : []),
  ];
}

/** Rungs that are steps where epochs are counted, or steps that were not printed, leave a run without any comparison. */
function neverCompared(stop: StopRule, points: readonly Point[]): string[] {
  const last = points.at(-1);
  if (!last || highestRung(points, stop) !== null) return [];
  const highest = Math.max(...points.map(positionOf));
  const times = last.report === 1 ? "once" : `${last.report} times`;
  const reached = points.every(({ step }) => step === undefined) ? `${times} without a step` : `up to step ${highest}`;
  return [
    `The run reported ${inQuotes(stop.metric)} ${reached}; the first rung is ${rungsOf(stop)[0]}, so early stopping never compared it.`,
  ];
}

const describeUnread = (name: string, { first, count }: CountedLines): string => {
  const numbers = count === 1 ? "One number" : `${count} numbers`;
  const [what, where] = count === 1 ? ["it is", "in"] : ["they are", "the first of them in"];
  return `${numbers} of ${inQuotes(name)} did not count, because it is not certain what ${what}, so its value may be older: ${where} ${inQuotes(first, QUOTE_LIMIT)}. Print plain digits in one unit, as in METRIC name=1234.5.`;
};

const describeUnit = (name: string, unit: string): string =>
  `The values of ${inQuotes(name)} are in the unit that was printed, ${inQuotes(unit, QUOTE_LIMIT)}: compare them only with runs that printed it too.`;

/** One step may be evaluated again, as the last one is when a program ends. */
const describeRepeated = (name: string, { step, values: [one, other], count }: RepeatedStep): string =>
  `${inQuotes(name)} came with several values at one step ${count} times, first at step ${step}: ${one} and ${other}. The last one printed counts, whichever that is, so if several processes print it, let one of them do so.`;

/** Of a measurement. */
export const undeclaredNote = (names: readonly string[]): string =>
  `METRIC lines of names that the benchmark does not declare do not count: ${listNames(names)}.`;

/** Names that are remembered to be named. There may be more than that. */
export const MOST_REMEMBERED = 1_000;
const SHOWN = 20;

const listNames = (names: readonly string[]): string =>
  names.length < MOST_REMEMBERED
    ? nameList(names, SHOWN)
    : `${nameList(names.slice(0, SHOWN))} and at least ${names.length - SHOWN} more`;

const FORM = "A line of its own that begins with METRIC counts: METRIC name=value [step=n].";
const BARS = "The line of a progress bar, but for those of tqdm and Keras, must be ended or begun anew first.";

const count = ({ first, count }: CountedLines, what: string): string =>
  `${count === 1 ? "One METRIC line" : `${count} METRIC lines`} ${what}${count === 1 ? "" : ", the first of them"}: ${inQuotes(first, QUOTE_LIMIT)}.`;
