import { plainText } from "../shared/plain-text.ts";
import { withoutThoughts } from "./written-out.ts";

/** What a turn said, for whoever gave it its prompt. */
export interface Answer {
  /** The last text of the turn that is not blank. */
  readonly text: string;
  /** Whether only messages without a word follow it. */
  readonly isEarlier: boolean;
  /** The turn's report, from an earlier message, where `text` does no more than close the turn ("Done."). */
  readonly report: string | null;
}

/**
 * The answer that these texts amount to. Models do not always end with their report: some add "Done." after it, tidy up,
 * or end with an empty message.
 * @param messages texts of the turn's messages, oldest first; null or blank = a message without a word
 * @returns null if none has any
 */
export function answerOf(messages: readonly (string | null)[]): Answer | null {
  const texts = messages.map((text) => text && withoutThoughts(text));
  const said = texts.filter(isSaid);
  const text = said.at(-1);
  if (text === undefined) return null;
  return { text, isEarlier: !isSaid(texts.at(-1) ?? null), report: reportBefore(text, said.slice(0, -1)) };
}

const isSaid = (text: string | null): text is string => text !== null && plainText(text).trim() !== "";

/** Characters from which on an earlier text may be a report even if the last one says something of its own. */
const REPORT_MIN = 400;
/** Times that such a report is longer than the last text. */
const REPORT_RATIO = 5;

function reportBefore(last: string, earlier: readonly string[]): string | null {
  const texts = earlier.filter((text) => !isClosing(text));
  const longest = Math.max(0, ...texts.map(({ length }) => length));
  const report = texts.findLast(({ length }) => length >= longest / 2) ?? "";
  const isReport = isClosing(last)
    ? report.length > last.length
    : report.length >= REPORT_MIN && report.length >= REPORT_RATIO * last.length;
  return isReport ? report : null;
}

/** Characters. */
const CLOSING_MAX = 120;
const CLOSING_WORDS = /^(?:done|finished|completed?|ok|okay|ready|above|end|more|further|steps|完成|完了|已完成)$/;
const FILLER_WORDS = new Set(
  "a all am and are as been do everything given good great has have i in is it its job m message my next no nothing now of previous report results s see stated stop successfully summary task tasks thanks that the there this to ve was we were with work you your add".split(
    " ",
  ),
);

/** Whether a text says only that the turn is over. */
function isClosing(text: string): boolean {
  const plain = plainText(text).trim().toLowerCase();
  if (plain.length > CLOSING_MAX) return false;
  const words = plain.match(/[\p{L}\p{N}]+/gu) ?? [];
  const isKnown = words.every((word) => CLOSING_WORDS.test(word) || FILLER_WORDS.has(word));
  return isKnown && (words.length === 0 || words.some((word) => CLOSING_WORDS.test(word)));
}
