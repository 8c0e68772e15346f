import { closest } from "../config/spelling.ts";
import { inQuotes, nameList } from "../shared/plain-text.ts";
import type { CountedLines } from "./metric-lines.ts";
import type { RunTask } from "./run-task.ts";
import { MOST_METRICS } from "./series.ts";

/** What was seen of a run's metrics when its command has ended. */
export interface SeenMetrics {
  readonly names: readonly string[];
  /** Names beyond the most that a job may have. */
  readonly refused: readonly string[];
  /** `METRIC` lines that could not be read, and ones that something else stands before. */
  readonly unreadable: CountedLines | null;
  readonly misplaced: CountedLines | null;
  /** Lines that have the text of a metric in other letters, upper case for lower case. */
  readonly inOtherCase: ReadonlyMap<string, string>;
}

const QUOTE_LIMIT = 120;

/** What is to be said of the metrics of a run whose command has ended, one sentence or two each. */
export function metricNotes(
  { metrics, stop }: Pick<RunTask, "metrics" | "stop">,
  seen: SeenMetrics,
): readonly string[] {
  const wanted = [...new Set([...Object.keys(metrics), ...(stop ? [stop.metric] : [])])];
  const missing = wanted.filter((name) => !seen.names.includes(name));
  return [
    ...missing.map((name) => {
      const text = Object.hasOwn(metrics, name) ? metrics[name] : undefined;
      const line = text === undefined ? "" : `, and none has a number after ${inQuotes(text, QUOTE_LIMIT)}`;
      const meant = closest(name, seen.names);
      const other = seen.inOtherCase.get(name);
      return [
        `The metric ${inQuotes(name)} never came: no line of the output is "METRIC ${name}=…"${line}.`,
        meant === undefined ? "" : ` There was ${inQuotes(meant)}.`,
        other === undefined ? "" : ` There was a line with other capital letters: ${inQuotes(other, QUOTE_LIMIT)}.`,
        stop?.metric === name ? " So early stopping did not compare this run with the others." : "",
      ].join("");
    }),
    ...(seen.unreadable ? [`${count(seen.unreadable, "could not be read")} ${FORM}`] : []),
    ...(seen.misplaced && (missing.length > 0 || !seen.names.includes(nameIn(seen.misplaced)))
      ? [`${count(seen.misplaced, "did not count, because other text or a progress bar stands before METRIC")} ${FORM}`]
      : []),
    ...(seen.refused.length > 0
      ? [`Metrics not kept, because a job has at most ${MOST_METRICS}: ${nameList(seen.refused)}.`]
      : []),
  ];
}

/** Of a measurement. */
export const undeclaredNote = (names: readonly string[]): string =>
  `METRIC lines of names that the benchmark does not declare do not count: ${nameList(names)}.`;

/** The metric of a misplaced line. One that came as well, on lines of its own, lacks nothing. */
const nameIn = ({ first }: CountedLines): string => /METRIC\s+([^\s=]+)=/i.exec(first)?.[1] ?? "";

const FORM = "A line of its own that begins with METRIC counts: METRIC name=value [step=n].";

const count = ({ first, count }: CountedLines, what: string): string =>
  `${count === 1 ? "One METRIC line" : `${count} METRIC lines`} ${what}${count === 1 ? "" : ", the first of them"}: ${inQuotes(first, QUOTE_LIMIT)}.`;
