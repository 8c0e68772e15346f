import { type FoundNumber, readNumber } from "./metric-number.ts";
import { withUnit } from "./metric-unit.ts";
import type { MetricValue } from "./run-task.ts";
import { LONGEST_NAME } from "./series.ts";

/** A number that a program printed. */
export interface PrintedMetric {
  readonly name: string;
  readonly value: MetricValue;
  readonly step?: number | undefined;
}

/** Of one `METRIC` line. */
const MOST_PAIRS = 100;

/** What a line that begins with `METRIC` holds. */
export interface MetricLine {
  /** Empty where the line does not go on as such a line. */
  readonly metrics: readonly PrintedMetric[];
  /** Whether all of it was read: no metrics, or a pair without a number, is less than that. */
  readonly isWhole: boolean;
}

const UNREADABLE: MetricLine = { metrics: [], isWhole: false };

/**
 * Reads `METRIC name=value [step=n]`, with any number of names; the step is that of all of them. A line with a step that
 * cannot be read has no metrics: at which step they are is not known.
 * @returns null for a line that is none
 */
export function readMetricLine(line: string): MetricLine | null {
  const start = /^\s*METRIC(?:\s+|$)/.exec(line);
  if (!start) return null;
  const metrics: PrintedMetric[] = [];
  const steps = new Set<MetricValue>();
  let isWhole = true;
  let isBehindPair = false;
  let at = start[0].length;
  while (at < line.length && metrics.length < MOST_PAIRS) {
    const pair = readPair(line, at);
    const value = pair?.value ?? null;
    const isStep = pair?.name === "step" && (metrics.length > 0 || hasMorePairs(line, pair.end));
    if (isStep && value !== null) steps.add(value);
    else if (pair && value !== null) metrics.push({ name: pair.name, value });
    // A name of several words, or a step that is none.
    else if (metrics.length === 0 || isStep) return UNREADABLE;
    else if (isBehindPair && OTHER_STEP.test(line.slice(at, at + 16))) return UNREADABLE;
    else isWhole &&= !pair;
    isBehindPair = pair !== null;
    at = endOfSeparators(line, pair?.end ?? endOfWord(line, at));
  }
  const [step] = steps;
  if (metrics.length === 0 || steps.size > 1 || (step !== undefined && typeof step !== "number")) return UNREADABLE;
  return {
    metrics: step === undefined ? metrics : metrics.map((metric) => ({ ...metric, step })),
    isWhole: isWhole && at >= line.length,
  };
}

/** A step in another form, as in `step: 3`, `step 3` and `(step=3)`. */
const OTHER_STEP = /^[^\p{L}\p{N}]*step\s*(?:[:=]|\d)/iu;

/** `name=value` with any spaces at the equals sign. `value` is null where no number stands there. */
function readPair(line: string, at: number): { name: string; value: MetricValue | null; end: number } | null {
  const [all, name = ""] = sticky(/([^\s=,;"'`]+)[ \t]*=[ \t]*/y, line, at) ?? [];
  if (all === undefined || [...name].length > LONGEST_NAME) return null;
  const from = at + all.length;
  const number = readNumber(line, from);
  if (number && number.value !== null && (number.end === line.length || /[\s,;]/.test(line.charAt(number.end))))
    return { name, value: number.value, end: number.end };
  return { name, value: null, end: endOfWord(line, from) };
}

/** Whether a `METRIC` line gives a value to a metric: where none of it was read, it could not be read. */
export function namesMetric(line: string, name: string): boolean {
  for (let at = line.indexOf(name); at >= 0; at = line.indexOf(name, at + 1))
    if (/[\s,;{"'`]/.test(line.charAt(at - 1)) && sticky(/["'`]?\s*[:=]/y, line, at + name.length)) return true;
  return false;
}

const hasMorePairs = (line: string, at: number): boolean => readPair(line, endOfSeparators(line, at)) !== null;
const endOfWord = (line: string, at: number): number => at + (sticky(/\S*/y, line, at)?.[0].length ?? 0);
const endOfSeparators = (line: string, at: number): number => at + (sticky(/[\s,;]*/y, line, at)?.[0].length ?? 0);

/** A text that the number of a metric follows. */
export interface SoughtText {
  readonly name: string;
  readonly text: string;
}

/** Places of one line at which a text is tried. */
const MOST_PLACES = 64;
/** Characters between a text and its number. */
const LONGEST_GAP = 64;
/** What programs print between a name and its number: the lines of a drawn table too, and which way is better. */
const GAP = /(?:[\s:=|│┃║>~≈→⇒↑↓"'`([{*]|(?<=\([↑↓])\)|-(?=[\s>]))*/y;
const WORD_CHARACTER = /[\p{L}\p{N}_]/u;

/**
 * The number that follows a text, the first one of the line, also if it cannot be read. The text is found as whole words:
 * `loss` neither in `val_loss` nor in `loss_2d`.
 * @param isCutOff text that is not known stands before the line
 */
export function readAfter({ text }: Pick<SoughtText, "text">, line: string, isCutOff = false): FoundNumber | null {
  const sought = text.trimEnd();
  if (sought === "") return null;
  let at = line.indexOf(sought);
  for (let place = 0; at >= 0 && place < MOST_PLACES; place++) {
    const number = (at === 0 && isCutOff) || continuesWord(line, at) ? null : numberBehind(line, at + sought.length);
    if (number) return number;
    at = line.indexOf(sought, at + 1);
  }
  return null;
}

/** Every number that follows the text in a line, also where the text is the end of a longer word. */
export function* numbersAfter({ text }: SoughtText, line: string): Generator<FoundNumber> {
  const sought = text.trimEnd();
  if (sought === "") return;
  for (let at = line.indexOf(sought); at >= 0; at = line.indexOf(sought, at + sought.length)) {
    const number = numberBehind(line, at + sought.length);
    if (number) yield number;
  }
}

/** Whether the text at `at` is the end of a longer word, e.g. `val_loss` or `val-loss`. */
function continuesWord(line: string, at: number): boolean {
  if (!WORD_CHARACTER.test(line.charAt(at))) return false;
  const before = line.charAt(at - 1);
  return WORD_CHARACTER.test(before) || (before === "-" && WORD_CHARACTER.test(line.charAt(at - 2)));
}

/** What looks like a number in a form that is not read, such as `tensor(0.5)`, `$3` and `<0.1`. */
const OTHER_FORM = /(?:[\p{L}_][\p{L}\p{N}_.]*\(\[*|[^\p{L}\p{N}\s]{1,3})[+-]?\.?\d/uy;

/** @returns null where none follows; without a value: it could not be read */
function numberBehind(line: string, end: number): FoundNumber | null {
  const gap = sticky(GAP, line.slice(end, end + LONGEST_GAP), 0)?.[0].length ?? 0;
  const at = end + gap;
  const number = readNumber(line, at);
  const isInWord = gap === 0 && WORD_CHARACTER.test(line.charAt(end - 1));
  if (!number) return !isInWord && sticky(OTHER_FORM, line, at) ? { value: null, end: at } : null;
  if (!isInWord) return withUnit(number, line);
  // `loss2: 5` is another metric; `epoch12` is a number behind a text.
  const isName = /\d/.test(line.charAt(end - 1)) || /^[:=\p{L}_]/u.test(line.slice(number.end, number.end + 2));
  return isName ? null : withUnit(number, line);
}

function sticky(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
