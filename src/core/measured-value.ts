import { type PrintedMetric, readMetricLine } from "./metric-line.ts";
import { MetricLines } from "./metric-lines.ts";
import type { MetricValue } from "./run-task.ts";

/** What a benchmark's command printed as its metric. */
export type Measured =
  | { readonly kind: "value"; readonly value: MetricValue }
  | { readonly kind: "none" }
  /** Which of them it measured cannot be told: the job's own code runs in the measurement, and may print numbers too. */
  | { readonly kind: "conflict"; readonly values: readonly [MetricValue, MetricValue] };

/** Characters of a line's end in which the metric is looked for behind other text. */
const LINE_END = 16 * 1024;
/** Places of one line at which it is looked for. */
const MOST_PLACES = 64;

/**
 * Finds the number that a benchmark's command measured, in its whole output. All lines without a step must agree; lines
 * with steps are the curve, whose last point counts only where there is no other number. What stands behind other text on
 * a line is not counted, but must not contradict: the job may have left its own line open to hide what follows.
 */
export class MeasuredValue {
  readonly #metric: string;
  readonly #lines: MetricLines;
  #values: MetricValue[] = [];
  #curve: { readonly step: number; readonly value: MetricValue } | null = null;
  #broken: readonly [MetricValue, MetricValue] | null = null;
  #hidden: MetricValue[] = [];
  #open = "";

  /** @param texts the text that a metric's number follows, by metric */
  constructor(metric: string, texts: Readonly<Record<string, string>>) {
    this.#metric = metric;
    this.#lines = new MetricLines(Object.fromEntries(Object.entries(texts).filter(([name]) => name === metric)));
  }

  read(chunk: Uint8Array): void {
    this.#note(this.#lines.read(chunk));
    const text = Buffer.from(chunk).toString("utf8");
    this.#open += text;
    if (text.includes("\n")) {
      const end = this.#open.lastIndexOf("\n");
      const lines = this.#open.slice(0, end);
      this.#open = this.#open.slice(end + 1);
      if (lines.includes("METRIC")) for (const line of lines.split("\n")) this.#look(line);
    }
    if (this.#open.length > 2 * LINE_END) this.#open = this.#open.slice(-LINE_END);
  }

  /** The output has ended. */
  end(): Measured {
    this.#note(this.#lines.end());
    this.#look(this.#open);
    this.#open = "";
    const found = [...this.#values, ...(this.#values.length === 0 && this.#curve ? [this.#curve.value] : [])];
    const [first] = found;
    const broken = this.#values.length === 0 ? this.#broken : null;
    const other = [...found, ...this.#hidden].find((value) => value !== first);
    if (first === undefined) return { kind: "none" };
    if (broken) return { kind: "conflict", values: broken };
    return other === undefined ? { kind: "value", value: first } : { kind: "conflict", values: [first, other] };
  }

  #note(printed: readonly PrintedMetric[]): void {
    for (const { name, value, step } of printed) {
      if (name !== this.#metric) continue;
      if (step === undefined) add(this.#values, value);
      else {
        const former = this.#curve;
        if (former && step <= former.step && value !== former.value) this.#broken ??= [former.value, value];
        this.#curve = { step, value };
      }
    }
  }

  /** Looks for the metric behind other text of a line. */
  #look(whole: string): void {
    const line = whole.slice(-LINE_END);
    let at = line.indexOf("METRIC", 1);
    for (let place = 0; at > 0 && place < MOST_PLACES; place++, at = line.indexOf("METRIC", at + 1)) {
      const read = readMetricLine(line.slice(at));
      if (!Array.isArray(read)) continue;
      for (const { name, value, step } of read as readonly PrintedMetric[])
        if (name === this.#metric && step === undefined) add(this.#hidden, value);
    }
  }
}

/** Two different ones are enough to tell that there is no one value. */
const add = (values: MetricValue[], value: MetricValue): void => {
  if (values.length < 2 && !values.includes(value)) values.push(value);
};
