import { plainText, splitStates } from "../shared/plain-text.ts";
import { numbersAfter, type PrintedMetric, readMetricLine, type SoughtText } from "./metric-line.ts";
import { MetricLines } from "./metric-lines.ts";
import type { MetricValue } from "./run-task.ts";

/** What a benchmark's command printed as its metric. */
export type Measured =
  | ({ readonly kind: "value" } & MeasuredNumbers)
  /** `hidden` is the first line that had it behind something else, and therefore did not count. */
  | { readonly kind: "none"; readonly hidden: string | null }
  /** Which of them it measured cannot be told: the job's own code runs in the measurement, and may print numbers too. */
  | { readonly kind: "conflict"; readonly values: readonly [MetricValue, MetricValue] };

export interface MeasuredNumbers {
  readonly value: MetricValue;
  /** Those of the benchmark's other metrics that it printed. */
  readonly others: ReadonlyMap<string, MetricValue>;
  /** Other metrics that it printed with different values. */
  readonly unclear: readonly string[];
}

/** Characters of a line's end in which the metric is looked for behind other text. */
const LINE_END = 16 * 1024;
/** Where a line could be a `METRIC` line, did nothing stand before it; but for the end of a name, as in `MY_METRIC =1`. */
const PLACE = /METRIC(?=\s|$)(?!\s*=)/g;

/**
 * Finds the numbers that a benchmark's command measured, in its whole output. All lines without a step must agree; lines
 * with steps are the curve, whose last point counts only where there is no other number. What stands behind other text on
 * a line, or behind a first number, is not counted, but must not contradict: the job may have left its own line open to hide what follows.
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
      const [value, other] = printed.different();
      if (value === undefined) continue;
      if (name === this.#metric)
        measured =
          other === undefined
            ? { kind: "value", value, others, unclear }
            : { kind: "conflict", values: [value, other] };
      else if (other === undefined) others.set(name, value);
      else unclear.push(name);
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
    for (const [n, place] of places.entries()) {
      const read = readMetricLine(line.slice(place, places[n + 1]));
      for (const { name, value, step } of read?.metrics ?? [])
        if (step === undefined) this.#printed.get(name)?.noteHidden([value]);
    }
    if (this.#texts.length === 0) return;
    // A line that was drawn anew counts as it was last.
    const states = splitStates(line).reverse();
    const shown = states.map(plainText);
    for (const sought of this.#texts) {
      const printed = this.#printed.get(sought.name);
      for (const [n, state] of states.entries()) {
        const values = [
          ...numbersAfter(sought, state),
          ...numbersAfter(sought, shown[n] ?? ""),
          ...lastAfter(sought, state),
        ];
        printed?.noteHidden(values);
        if (values.length > 0) break;
      }
    }
  }
}

/** The number behind the last place of the text: escape codes may stand between the two, and one before it that is open swallows its first letter. */
function* lastAfter(sought: SoughtText, state: string): Generator<MetricValue> {
  const place = state.lastIndexOf(sought.text.trimEnd());
  if (place >= 0) yield* numbersAfter(sought, plainText(state.slice(place)));
}

/** What was printed of one metric. */
class Printed {
  #values: MetricValue[] = [];
  #curve: { readonly step: number; readonly value: MetricValue } | null = null;
  #broken: readonly MetricValue[] | null = null;
  #hidden: MetricValue[] = [];

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

  /** Its number, and another one that contradicts it, if there is one. */
  different(): readonly MetricValue[] {
    if (this.#values.length === 0 && this.#broken) return this.#broken;
    const found = this.#values.length === 0 && this.#curve ? [this.#curve.value] : this.#values;
    const [first] = found;
    const other = [...found, ...this.#hidden].find((value) => value !== first);
    return first === undefined ? [] : other === undefined ? [first] : [first, other];
  }
}

/** Two different ones are enough to tell that there is no one value. */
const add = (values: MetricValue[], value: MetricValue): void => {
  if (values.length < 2 && !values.includes(value)) values.push(value);
};
