import { plainText } from "../../shared/plain-text.ts";

/** Characters kept of a log: it may be of any length, and only its end is shown. */
const KEPT = 64 * 1024;
/** What an error shows of a log: lines, and characters of one line and of all. */
const SHOWN_LINES = 40;
const LINE_LIMIT = 300;
const SHOWN_LIMIT = 3_000;

/** The end of an image build's log, made safe to show. */
export class BuildLog {
  #text = "";

  add(piece: string): void {
    this.#text = (this.#text + piece).slice(-KEPT);
  }

  /** The last line that is not empty; null = there is none. Redrawn lines count as lines of their own. */
  lastLine(): string | null {
    return linesOf(this.#text.slice(-LINE_LIMIT * 16)).at(-1) ?? null;
  }

  /** The last forty lines, or as many of the last ones as fit. */
  tail(): readonly string[] {
    const shown: string[] = [];
    let left = SHOWN_LIMIT;
    for (const line of linesOf(this.#text).reverse()) {
      left -= line.length + 1;
      if (left < 0 || shown.length === SHOWN_LINES) break;
      shown.unshift(line);
    }
    return shown;
  }
}

const linesOf = (text: string): string[] =>
  plainText(text)
    .split("\n")
    .map((line) => line.replace(/\t/g, " ").trimEnd())
    .filter((line) => line.trim() !== "")
    .map((line) => (line.length > LINE_LIMIT ? `${line.slice(0, LINE_LIMIT - 1)}…` : line));
