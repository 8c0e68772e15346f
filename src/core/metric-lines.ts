import { plainStates } from "../shared/plain-text.ts";
import { LineFilter } from "./line-filter.ts";
import { type MetricLine, type PrintedMetric, readAfter, readMetricLine, type SoughtText } from "./metric-line.ts";
import type { FoundNumber } from "./metric-number.ts";
import { type CountedLines, LONGEST_QUOTE, MisplacedLines, withLine } from "./misplaced-lines.ts";
import { NumberSeries } from "./number-series.ts";
import { apartFromBar } from "./progress-bar.ts";
import { RepeatedSteps } from "./repeated-steps.ts";
import { MOST_METRICS } from "./series.ts";

/** Of a longer line, so much is read at its beginning and at its end. */
const LINE_BYTES = 8 * 1024;
/** Whole lines that are searched together. Only where something is found are they looked at one by one. */
const PIECE_BYTES = 4 * 1024;
/** States of one line that are looked at, if it was drawn anew. */
const MOST_STATES = 64;

/** Of a line that begins with METRIC. The header of a table, as `METRIC  TRAIN  P99`, has neither a pair nor a number. */
const MEANT = /=|(?<![\p{L}\p{N}_.])\.?\d/u;

const LINE_FEED = 10;
/** Neither escape codes nor characters beyond ASCII. */
const PLAIN = /^[\t\n\r\x20-\x7e]*$/;

/**
 * Finds metrics in a program's output, however it is cut into chunks: `METRIC name=value [step=n]` lines, and the numbers
 * that follow given texts. A line ends at a line feed, and what a carriage return begins is another state of it, as is what
 * stands behind a progress bar: of a line
 * that is drawn anew, such as a progress bar, the last state with a number counts. One that is a `METRIC` line is only read
 * as such, and counts before any other.
 * Memory is bounded, and the time of every byte, whatever is printed.
 */
export class MetricLines {
  /** `METRIC` lines that could not be read. */
  unreadable: CountedLines | null = null;
  /** `METRIC` lines of which not every metric could be read. */
  readInPart: CountedLines | null = null;
  /** `METRIC` after something else on its line, or in small letters. */
  readonly misplaced = new MisplacedLines();
  readonly repeated = new RepeatedSteps();
  /** Metrics whose text was found in other letters only, with the first line that has it. */
  readonly inOtherCase = new Map<string, string>();
  /** What followed the text of each metric. */
  readonly numbers = new Map<string, NumberSeries>();
  readonly #texts: readonly SoughtText[];
  readonly #filter: LineFilter;
  /** The beginning of the line under way, and the end of what does not fit there. */
  #head: Buffer[] = [];
  #tail: Buffer[] = [];
  #headBytes = 0;
  #tailBytes = 0;
  #isTailCut = false;

  /** @param texts the text that a metric's number follows, by metric */
  constructor(texts: Readonly<Record<string, string>> = {}) {
    this.#texts = Object.entries(texts)
      .slice(0, MOST_METRICS)
      .map(([name, text]) => ({ name, text }));
    this.#filter = new LineFilter(this.#texts);
  }

  /** @returns what the lines that end in this chunk hold */
  read(chunk: Uint8Array): PrintedMetric[] {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const found: PrintedMetric[] = [];
    let at = 0;
    const firstEnd = this.#headBytes > 0 ? bytes.indexOf(LINE_FEED) : -1;
    if (firstEnd >= 0) {
      this.#append(bytes.subarray(0, firstEnd));
      found.push(...this.end());
      at = firstEnd + 1;
    }
    const wholeEnd = bytes.lastIndexOf(LINE_FEED) + 1;
    while (at < wholeEnd) {
      const last = bytes.lastIndexOf(LINE_FEED, at + PIECE_BYTES);
      const end = 1 + (last < at ? bytes.indexOf(LINE_FEED, at) : last);
      const piece = bytes.subarray(at, end);
      if (this.#filter.find(toPlain(piece)) !== null) found.push(...this.#readLines(piece));
      at = end;
    }
    this.#append(bytes.subarray(wholeEnd));
    return found;
  }

  /**
   * The output has ended.
   * @param isWhole whether by itself; if it was cut off, the last state of its last line may lack digits
   * @returns what its last line holds, if no line feed ended it
   */
  end(isWhole = true): PrintedMetric[] {
    const head = Buffer.concat(this.#head);
    const tail = Buffer.concat(this.#tail);
    const parts = this.#isTailCut ? [head, tail.subarray(-LINE_BYTES)] : [Buffer.concat([head, tail])];
    this.#head = [];
    this.#tail = [];
    this.#headBytes = 0;
    this.#tailBytes = 0;
    this.#isTailCut = false;
    return this.#readParts(parts, isWhole);
  }

  /** @param bytes lines that all end with a line feed */
  #readLines(bytes: Buffer): PrintedMetric[] {
    const found: PrintedMetric[] = [];
    let at = 0;
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, at)) {
      const line = bytes.subarray(at, end);
      if (line.length <= LINE_BYTES) found.push(...this.#readParts([line]));
      else {
        this.#append(line);
        found.push(...this.end());
      }
      at = end + 1;
    }
    return found;
  }

  #append(bytes: Buffer): void {
    if (bytes.length === 0) return;
    // Copies, because a chunk may be large, and its memory used again.
    const toHead = bytes.subarray(0, LINE_BYTES - this.#headBytes);
    if (toHead.length > 0) this.#head.push(Buffer.from(toHead));
    this.#headBytes += toHead.length;
    const rest = bytes.subarray(toHead.length);
    if (rest.length === 0) return;
    this.#tail.push(Buffer.from(rest.subarray(-LINE_BYTES)));
    this.#isTailCut ||= rest.length > LINE_BYTES;
    this.#tailBytes += Math.min(rest.length, LINE_BYTES);
    if (this.#tailBytes <= 2 * LINE_BYTES) return;
    this.#tail = [Buffer.concat(this.#tail).subarray(-LINE_BYTES)];
    this.#tailBytes = LINE_BYTES;
    this.#isTailCut = true;
  }

  /** @param parts the line; its beginning and its end where it is too long */
  #readParts([head = Buffer.alloc(0), tail]: readonly Buffer[], isWhole = true): PrintedMetric[] {
    const text = tail === undefined ? toPlain(head) : toPlain(withoutLastWord(head));
    const texts = tail === undefined ? this.#filter.find(text) : this.#texts;
    if (texts === null) return [];
    const states = statesOf(text);
    const ends = tail === undefined ? null : statesOf(toPlain(tail));
    if (!isWhole) (ends ?? states).pop();
    const counted = this.#readMetricState(states, ends, texts);
    // No number counts twice.
    const blank = (state: string) => (state === counted?.state ? "" : state);
    const [others, otherEnds] = [states.map(blank), ends?.map(blank)];
    const metrics = counted?.metrics ?? [];
    const found = texts.flatMap((sought) => {
      if (metrics.some(({ name }) => name === sought.name)) return [];
      const last = (otherEnds && readLast(sought, otherEnds, true)) ?? readLast(sought, others, false);
      if (!last) {
        this.#noteOtherCase(sought, others);
        return [];
      }
      const series = this.numbers.get(sought.name) ?? new NumberSeries();
      this.numbers.set(sought.name, series);
      const value = series.read(last.number, last.state.slice(last.state.indexOf(sought.text.trimEnd())));
      return value === null ? [] : [{ name: sought.name, value }];
    });
    return [...found, ...metrics];
  }

  /** The last state that is a `METRIC` line with a number. */
  #readMetricState(
    states: readonly string[],
    ends: readonly string[] | null,
    texts: readonly SoughtText[],
  ): StateWithMetrics | undefined {
    // Where the line is too long, the last state of its beginning and the first of its end are cut off.
    const whole = ends ? [...states.slice(0, -1), ...ends.slice(1)] : states;
    const lines = whole.flatMap((state) => {
      const read = readMetricLine(state);
      return read ? [{ state, ...read }] : [];
    });
    const counted = lines.findLast(({ metrics }) => metrics.length > 0);
    const line = counted ?? lines.at(-1);
    if (counted) this.misplaced.count(counted.metrics);
    if (counted) this.repeated.note(counted.metrics);
    const others = [...states, ...(ends ?? [])].filter((state) => state !== line?.state);
    for (const state of others.slice(-MOST_STATES)) this.misplaced.note(state, texts);
    if (line && !counted && MEANT.test(line.state)) this.unreadable = withLine(this.unreadable, line.state);
    if (counted && !counted.isWhole) this.readInPart = withLine(this.readInPart, counted.state);
    return counted;
  }

  #noteOtherCase({ name, text }: SoughtText, states: readonly string[]): void {
    if (this.numbers.has(name) || this.inOtherCase.has(name)) return;
    const lower = { name, text: text.toLowerCase() };
    const line = states.slice(-MOST_STATES).find((state) => readAfter(lower, state.toLowerCase()) !== null);
    if (line !== undefined) this.inOtherCase.set(name, line.slice(0, LONGEST_QUOTE));
  }
}

type StateWithMetrics = MetricLine & { readonly state: string };

/** Without what may be the beginning of a longer word or number. */
const withoutLastWord = (line: Buffer): Buffer =>
  line.subarray(0, 1 + Math.max(...[" ", "\t", "\r"].map((space) => line.lastIndexOf(space))));

/** Lines, and what each looked like every time before it was drawn anew, without escape codes. */
function toPlain(bytes: Buffer): string {
  const text = bytes.toString("latin1");
  return PLAIN.test(text) ? text.replaceAll("\r", "\n") : plainStates(bytes.toString("utf8"));
}

const statesOf = (text: string): string[] => text.split("\n").flatMap(apartFromBar);

/** The number in the last state that has one. */
function readLast(
  sought: SoughtText,
  states: readonly string[],
  isCutOff: boolean,
): { readonly number: FoundNumber; readonly state: string } | null {
  for (let i = states.length - 1; i >= Math.max(0, states.length - MOST_STATES); i--) {
    const state = states[i] ?? "";
    const number = readAfter(sought, state, isCutOff && i === 0);
    if (number) return { number, state };
  }
  return null;
}
