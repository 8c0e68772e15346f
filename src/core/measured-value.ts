import { plainText, splitStates } from "../shared/plain-text.ts";
import { namesMetric, numbersAfter, type PrintedMetric, readMetricLine, type SoughtText } from "./metric-line.ts";
import { MetricLines } from "./metric-lines.ts";
import type { FoundNumber } from "./metric-number.ts";
import { LONGEST_QUOTE } from "./misplaced-lines.ts";
import { NumberSeries } from "./number-series.ts";
import type { MetricValue } from "./run-task.ts";

/** What a benchmark's command printed as its metric. */
export type Measured =
  | ({ readonly kind: "value" } & MeasuredNumbers)
  /** `hidden` is the first line that had it behind something else, and therefore did not count. */
  | { readonly kind: "none"; readonly hidden: string | null }
  /** Which of them it measured cannot be told: the job's own code runs in the measurement, and may print numbers too. */
  | { readonly kind: "conflict"; readonly values: readonly [MetricValue, MetricValue] }
  /** The first line that has the metric with a number that could not be read, or with another unit. It may be the benchmark's, and any other the job's. */
  | { readonly kind: "unread"; readonly line: string };

export interface MeasuredNumbers {
  readonly value: MetricValue;
  /** Those of the benchmark's other metrics that it printed. */
  readonly others: ReadonlyMap<string, MetricValue>;
  /** Other metrics that it printed with different values, or in a line that could not be read. */
  readonly unclear: readonly string[];
}

/** Characters of a line's end in which the metric is looked for behind other text. */
const LINE_END = 16 * 1024;
/** Where a line could be a `METRIC` line, did nothing stand before it; but for the end of a name, as in `MY_METRIC =1`. */
const PLACE = /METRIC(?=\s|$)(?!\s*=)/g;
const HAS_STEP = /[\s,;]step\s*=\s*\d+(?:\.\d+)?(?=[\s,;]|$)/;

/**
 * Finds the numbers that a benchmark's command measured, in its whole output. All lines without a step must agree; lines
 * with steps are the curve, whose last point counts only where there is no other number. What stands behind other text on
 * a line, or behind a first number, is not counted, but must not contradict: the job may have left its own line open to
 * hide what follows. Nor may there be a line whose number could not be read.
 */
export class MeasuredValue {
  readonly #metric: string;
  readonly #texts: readonly SoughtText[];
  readonly #lines: MetricLines;
  readonly #printed: ReadonlyMap<string, Printed>;
  #open = "";

  /** @param texts the text that a metric's number follows, by metric: these are measured besides */
  constructor(metric: string, texts: Readonly<Record<string, string>>) {
    this.#metric = metric;
    this.#texts = Object.entries(texts).map(([name, text]) => ({ name, text }));
    const own = Object.entries(texts).filter(([name]) => name === metric);
    const others = Object.entries(texts).filter(([name]) => name !== metric);
    this.#lines = new MetricLines(Object.fromEntries([...own, ...others])); // of too many the last are not looked for
    this.#printed = new Map([metric, ...others.map(([name]) => name)].map((name) => [name, new Printed()]));
  }

  read(chunk: Uint8Array): void {
    this.#note(this.#lines.read(chunk));
    const text = Buffer.from(chunk).toString("utf8");
    this.#open += text;
    if (text.includes("\n")) {
      const end = this.#open.lastIndexOf("\n");
      const lines = this.#open.slice(0, end);
      this.#open = this.#open.slice(end + 1);
      const mayHold = lines.includes("METRIC") || this.#texts.some(({ text }) => lines.includes(text.trimEnd()));
      if (mayHold) for (const line of lines.split("\n")) this.#look(line);
    }
    if (this.#open.length > 2 * LINE_END) this.#open = this.#open.slice(-LINE_END);
  }

  /** The output has ended. */
  end(): Measured {
    this.#note(this.#lines.end());
    this.#look(this.#open);
    this.#open = "";
    const others = new Map<string, MetricValue>();
    const unclear: string[] = [];
    let measured: Measured = { kind: "none", hidden: this.#lines.misplaced.firstOf(this.#metric) };
    for (const [name, printed] of this.#printed) {
      const { values, unread } = printed.found();
      const [value, other] = values;
      if (name === this.#metric) {
        if (value !== undefined && other !== undefined) measured = { kind: "conflict", values: [value, other] };
        else if (unread !== null) measured = { kind: "unread", line: unread };
        else if (value !== undefined) measured = { kind: "value", value, others, unclear };
      } else if (other !== undefined || unread !== null) unclear.push(name);
      else if (value !== undefined) others.set(name, value);
    }
    return measured;
  }

  #note(all: readonly PrintedMetric[]): void {
    for (const { name, value, step } of all) this.#printed.get(name)?.note(value, step);
  }

  /** Looks for the metrics behind other text of a line: at every place up to the next, so that none costs the whole line. */
  #look(whole: string): void {
    const line = whole.slice(-LINE_END);
    const places = [...line.matchAll(PLACE)].map(({ index }) => index);
    for (const [n, place] of places.entries()) this.#lookAtMetrics(line.slice(place, places[n + 1]));
    if (this.#texts.length === 0) return;
    // A line that was drawn anew counts as it was last.
    const states = splitStates(line).reverse();
    const shown = states.map(plainText);
    for (const sought of this.#texts) {
      const printed = this.#printed.get(sought.name);
      for (const [n, state] of states.entries()) {
        const plain = shown[n] ?? "";
        const shownNumbers = [...numbersAfter(sought, plain)];
        const numbers = [...numbersAfter(sought, state), ...shownNumbers, ...lastAfter(sought, state)];
        printed?.noteHidden(numbers.flatMap(({ value }) => value ?? []));
        for (const number of shownNumbers) printed?.noteShown(number, plain);
        if (shownNumbers.length > 0 || numbers.some(isRead)) break;
      }
    }
  }

  /** @param line what begins with `METRIC`, up to the next such place */
  #lookAtMetrics(line: string): void {
    const metrics = [...(readMetricLine(line)?.metrics ?? [])];
    const isUnread = (name: string) => namesMetric(line, name) && !metrics.some((one) => one.name === name);
    const unread = [...this.#printed.keys()].filter(isUnread);
    if (unread.length > 0) metrics.push(...(readMetricLine(plainText(line))?.metrics ?? []));
    for (const { name, value, step } of metrics) if (step === undefined) this.#printed.get(name)?.noteHidden([value]);
    for (const name of unread.filter(isUnread)) {
      const sought = this.#texts.find((one) => one.name === name);
      const isReadByText = sought !== undefined && [...numbersAfter(sought, line)].some(isRead);
      if (!isReadByText) this.#printed.get(name)?.noteUnread(line, HAS_STEP.test(line));
    }
  }
}

const isRead = ({ value }: FoundNumber): boolean => value !== null;

/** The number behind the last place of the text: escape codes may stand between the two, and one before it that is open swallows its first letter. */
function* lastAfter(sought: SoughtText, state: string): Generator<FoundNumber> {
  const place = state.lastIndexOf(sought.text.trimEnd());
  if (place >= 0) yield* numbersAfter(sought, plainText(state.slice(place)));
}

/** What was printed of one metric. */
class Printed {
  #values: MetricValue[] = [];
  #curve: { readonly step: number; readonly value: MetricValue } | null = null;
  #broken: readonly MetricValue[] | null = null;
  #hidden: MetricValue[] = [];
  /** Numbers behind its text. */
  readonly #series = new NumberSeries();
  #unread: string | null = null;
  /** Of its curve. */
  #unreadStep: string | null = null;

  note(value: MetricValue, step: number | undefined): void {
    if (step === undefined) {
      add(this.#values, value);
      return;
    }
    const former = this.#curve;
    if (former && step <= former.step && value !== former.value) this.#broken ??= [former.value, value];
    this.#curve = { step, value };
  }

  noteHidden(values: readonly MetricValue[]): void {
    for (const value of values) add(this.#hidden, value);
  }

  noteShown(number: FoundNumber, line: string): void {
    if (this.#series.read(number, line) === null) this.noteUnread(line, false);
  }

  noteUnread(line: string, hasStep: boolean): void {
    if (hasStep) this.#unreadStep ??= line.slice(0, LONGEST_QUOTE);
    else this.#unread ??= line.slice(0, LONGEST_QUOTE);
  }

  /** Its number, another one that contradicts it, if there is one, and a line that could not be read. */
  found(): { readonly values: readonly MetricValue[]; readonly unread: string | null } {
    const isCurve = this.#values.length === 0;
    const unread = this.#unread ?? (isCurve ? this.#unreadStep : null);
    if (isCurve && this.#broken) return { values: this.#broken, unread };
    const found = isCurve && this.#curve ? [this.#curve.value] : this.#values;
    const [first] = found;
    const other = [...found, ...this.#hidden].find((value) => value !== first);
    return { values: first === undefined ? [] : other === undefined ? [first] : [first, other], unread };
  }
}

/** Two different ones are enough to tell that there is no one value. */
const add = (values: MetricValue[], value: MetricValue): void => {
  if (values.length < 2 && !values.includes(value)) values.push(value);
};
