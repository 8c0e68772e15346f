import { type PrintedMetric, readAfter, readMetricLine, type SoughtText } from "./metric-line.ts";
import { MOST_METRICS } from "./series.ts";

/** Lines of one kind: how many, and the first of them, which may hold anything. */
export interface CountedLines {
  readonly first: string;
  readonly count: number;
}

/** Characters kept of a line that is quoted. */
export const LONGEST_QUOTE = 200;
/** Numbers that are remembered, of lines that count and of those that do not. */
const MOST_NUMBERS = 1_000;

/** What would be a `METRIC` line, did nothing stand before it, or had it no small letters, no colon and no S. */
const MISPLACED =
  /(^\s*|[^\p{L}_])(METRICS?)([ \t]*:[ \t]*|[ \t]+)(([^\s=]{1,64})[ \t]*=[ \t]*[+\-\u2212]?(?:\.?\d|(?:nan|inf(?:inity)?)(?![\p{L}\p{N}_])).*)/iu;
/** A shell that shows its commands quotes them. */
const QUOTES = /["'`]+\s*$/;

/**
 * `METRIC` lines that did not count because of what stands before them. One whose numbers all come on lines that count is
 * an echo, as of `set -x`, and is not lost. Memory and the time of every line are bounded.
 */
export class MisplacedLines {
  /** The newest numbers that counted. */
  readonly #counted = new Set<string>();
  /** By a number that has not counted. */
  readonly #waiting = new Map<string, CountedLines>();
  /** Beyond those, and by the name of what could not be read. */
  readonly #unread = new Map<string, CountedLines>();
  #more: CountedLines | null = null;
  /** Lines that begin with the word in small letters. */
  #inSmallLetters: CountedLines | null = null;
  /** The first line of each name. */
  readonly #firsts = new Map<string, string>();

  /**
   * @param state a line that is no `METRIC` line, or what it was when it was drawn anew
   * @param texts those that numbers follow: what is read by one is not lost
   */
  note(state: string, texts: readonly SoughtText[]): void {
    const found = MISPLACED.exec(state);
    if (!found) return;
    const [, before = "", word = "", between = "", rest = "", name = ""] = found;
    if (this.#firsts.size < MOST_METRICS && !this.#firsts.has(name))
      this.#firsts.set(name, state.slice(0, LONGEST_QUOTE));
    // Behind other words only METRIC itself is meant, often behind a progress bar, as in `12.3it/s]METRIC loss=1` and
    // `3/3METRIC loss=1`: `Final metrics: loss=1` is a program's own way to speak.
    const isFirst = found.index === 0 && before.trim() === "";
    if (!isFirst && (word !== "METRIC" || between.includes(":"))) return;
    if (texts.some((sought) => readAfter(sought, rest) !== null)) return;
    const metrics = readMetricLine(`METRIC ${rest.replace(QUOTES, "")}`)?.metrics ?? [];
    if (word !== word.toUpperCase()) {
      if (metrics.length > 0) this.#inSmallLetters = withLine(this.#inSmallLetters, state);
      return;
    }
    const key = metrics.map(toKey).find((key) => !this.#counted.has(key));
    if (key !== undefined) {
      const former = this.#waiting.get(key);
      if (former || this.#waiting.size < MOST_NUMBERS) this.#waiting.set(key, withLine(former, state));
      else this.#more = withLine(this.#more, state);
    } else if (metrics.length === 0) {
      const former = this.#unread.get(name);
      if (former || this.#unread.size < MOST_METRICS) this.#unread.set(name, withLine(former, state));
    }
  }

  /** These have counted. */
  count(metrics: readonly PrintedMetric[]): void {
    for (const key of metrics.map(toKey)) {
      this.#waiting.delete(key);
      this.#counted.delete(key);
      this.#counted.add(key);
      const [oldest] = this.#counted.size > MOST_NUMBERS ? this.#counted : [];
      if (oldest !== undefined) this.#counted.delete(oldest);
    }
  }

  /** The lines with a number that has not counted. @param came names of metrics that have */
  lost(came: ReadonlySet<string>): CountedLines | null {
    const unread = [...this.#unread].flatMap(([name, lines]) => (came.has(name) ? [] : [lines]));
    // A program that prints METRIC lines means them by nothing else.
    const small = this.#counted.size === 0 ? this.#inSmallLetters : null;
    const all = [...this.#waiting.values(), ...[this.#more, small].filter((lines) => lines !== null), ...unread];
    return all[0] ? { first: all[0].first, count: all.reduce((sum, { count }) => sum + count, 0) } : null;
  }

  /** The first line of a metric, whether its numbers have counted or not. */
  firstOf = (name: string): string | null => this.#firsts.get(name) ?? null;
}

const toKey = ({ name, value, step }: PrintedMetric): string => `${name}=${value}@${step ?? ""}`;

export const withLine = (lines: CountedLines | null | undefined, line: string): CountedLines => ({
  first: lines?.first ?? line.slice(0, LONGEST_QUOTE),
  count: (lines?.count ?? 0) + 1,
});
