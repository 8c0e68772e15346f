import type { SoughtText } from "./metric-line.ts";

/**
 * Tells whether a piece of output can hold a metric at all. A program may print millions of short lines without one, and
 * to look at each of them for every text would leave no time for anything else.
 */
export class LineFilter {
  readonly #needles: readonly { readonly sought: SoughtText; readonly folded: string }[];

  constructor(texts: readonly SoughtText[]) {
    this.#needles = texts
      .map((sought) => ({ sought, folded: fold(sought.text.trimEnd()) }))
      .filter(({ folded }) => folded !== ""); // such a text is never found
  }

  /**
   * @param text any number of lines, without escape codes
   * @returns the texts that it has, in capitals or small letters; null = neither one of them, nor the word METRIC
   */
  find(text: string): readonly SoughtText[] | null {
    const folded = fold(text);
    const found = this.#needles.filter((needle) => folded.includes(needle.folded)).map(({ sought }) => sought);
    return found.length > 0 || folded.includes("metric") ? found : null;
  }
}

/** Which small sigma a capital one becomes depends on what follows, so that a part of a text would be unlike the whole. */
const fold = (text: string): string => text.toLowerCase().replaceAll("ς", "σ");
