/*
 * Makes text from jobs, file names and programs safe to show to a person, in a terminal or a browser, and to a model.
 * Removed is whatever is invisible and still has an effect: escape codes, control characters, bidirectional overrides, and
 * zero-width characters, which can hide words for a model from a person. Visible text is left as it is.
 */

/** Text of several lines. Every kind of line break becomes a line feed; tab is the only other control character kept. */
export function plainText(text: string): string {
  const lines = withoutEscapeCodes(wellFormed(text)).replace(LINE_BREAKS, "\n");
  return dropInvisible(lines.replace(CONTROLS, ""));
}

/** Text on one line, with single spaces, cut to `max` characters. */
export function oneLine(text: string, max = 500): string {
  if (text.length <= max && PLAIN_LINE.test(text)) return text; // nearly every text
  // Cut roughly first, so that the expressions below do not process megabytes that are dropped anyway.
  const start = text.length > 16 * max ? text.slice(0, 16 * max) : text;
  const line = plainText(start).replace(/\s+/gu, " ").trim();
  const characters = [...line];
  const isCut = characters.length > max || start.length < text.length;
  // A cut through a joined emoji leaves its joiner, which joins nothing any more.
  return isCut ? `${dropInvisible(characters.slice(0, max - 1).join(""))}…` : line;
}

/** Words of visible ASCII characters with a space between them. */
const PLAIN_LINE = /^(?:[!-~]+(?: [!-~]+)*)?$/;

/**
 * A name that may contain anything, such as a file name. A harmless name is returned unchanged. Any other is quoted, with
 * escapes for invisible characters, so that different names still look different.
 */
export function plainName(name: string, max = 500): string {
  if (name.length <= max && HARMLESS_NAME.test(name) && oneLine(name, max) === name) return name;
  const start = wellFormed(wellFormed(name).slice(0, max));
  const quoted = JSON.stringify(start).replace(ESCAPED_IN_NAMES, toEscape);
  return start.length < name.length ? `${quoted}…` : quoted;
}

/** Names in a sentence: "a, b and 212 more". */
export function nameList(names: readonly string[], shown = 20): string {
  const first = names.slice(0, shown).map((name) => plainName(name));
  return names.length <= shown ? first.join(", ") : `${first.join(", ")} and ${names.length - shown} more`;
}

/** One line in which invisible characters are escapes, as in `plainName`. */
export const showInvisible = (line: string): string => line.replace(ESCAPED_ALONE, toEscape);

/** One line in double quotes that nothing inside can close. */
export const inQuotes = (text: string, max = 500): string => `"${oneLine(text, max).replace(/["\\]/g, "\\$&")}"`;

/** Number of invisible characters that `plainText` removes, not counting escape codes. */
export function countInvisible(text: string): number {
  const lines = withoutEscapeCodes(wellFormed(text)).replace(LINE_BREAKS, "\n");
  return [...lines].length - [...dropInvisible(lines.replace(CONTROLS, ""))].length;
}

/** Lines, and the states of each that was drawn anew: `plainText`, where whatever moves the cursor back or erases text breaks the line. */
export function plainStates(text: string): string {
  const marked = wellFormed(text).replace(ESCAPE_CODES, (code) =>
    KEEPS_TEXT.test(code) ? "" : FORWARD.test(code) ? " " : "\b",
  );
  const lines = marked.replace(FIRST_MOVES, "").replace(MOVES, "\n").replace(LINE_BREAKS, "\n");
  return dropInvisible(lines.replace(CONTROLS, ""));
}

/**
 * The states of a line that was drawn anew, with their escape codes. Each but the first begins with the code that begins it.
 */
export function splitStates(line: string): string[] {
  const states: string[] = [];
  let from = 0;
  for (const { 0: code, index } of line.matchAll(STATE_MARKS)) {
    if (code.length > 1 && (KEEPS_TEXT.test(code) || FORWARD.test(code))) continue;
    states.push(line.slice(from, index));
    from = index;
  }
  return [...states, line.slice(from)];
}

/** Removes terminal escape codes: colours, cursor moves, titles, links. The text of a link stays. */
export const withoutEscapeCodes = (text: string): string => text.replace(ESCAPE_CODES, "");

const ESCAPE_CODES = new RegExp(
  [
    // strings with their terminator (titles, links, device controls); without one on the line, only what opens the string
    "(?:\\x1b[\\]PX^_]|[\\x9d\\x90\\x98\\x9e\\x9f])[^\\x07\\x1b\\n\\x90\\x98\\x9c-\\x9f]*(?:\\x07|\\x1b\\\\|\\x9c)",
    "(?:\\x1b\\[|\\x9b)[0-?]*[ -/]*[@-~]", // control sequences with parameters
    "\\x1b[ -/]*[0-~]", // all other escape sequences
  ].join("|"),
  "g",
);

/** Of escape codes: colours and modes, strings, and what erases from the cursor on. Behind them a line goes on as it was. */
const KEEPS_TEXT = new RegExp(
  [
    "^(?:\\x1b\\[|\\x9b)(?:[0-?]*[ -/]*[ghlmnpqst]|\\??0*[JK])$",
    "^\\x1b[ -/=>7\\\\\\]PX^_]",
    "^[\\x9d\\x90\\x98\\x9e\\x9f]",
  ].join("|"),
);
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it matches
const FORWARD = /^(?:\x1b\[|\x9b)\d*[Ca]$/;

/** What moves the cursor without a code of several characters; backspace stands for one in `plainStates`. */
const MOVES = /[\b\x84\x8d]+/g;
/** There is nothing yet that they could lead back to. */
const FIRST_MOVES = /^[\b\x84\x8d]+/;

const STATE_MARKS = new RegExp(`${ESCAPE_CODES.source}|[\\r\\x08\\x84\\x8d]`, "g");

/** Replaces lone surrogates by U+FFFD. Without the flag `u`, with which Bun 1.3 misses some. */
const wellFormed = (text: string): string =>
  text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\uFFFD");

const LINE_BREAKS = /\r\n|[\r\v\f\x85\u2028\u2029]/g;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it matches
const CONTROLS = /[\0-\x08\x0b-\x1f\x7f-\x9f]/g;

/** Characters that are invisible or only annotate others (Unicode's "default ignorable", and interlinear annotation). */
const INVISIBLE = "[\\p{Default_Ignorable_Code_Point}\\uFFF9-\\uFFFB\\uFFFE\\uFFFF]";

/** Scripts in which a zero-width joiner after a letter is part of the spelling. */
const JOINING = [
  ...["Arabic", "Syriac", "Mongolian", "Nko", "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil"],
  ...["Telugu", "Kannada", "Malayalam", "Sinhala", "Khmer", "Myanmar", "Tibetan"],
]
  .map((script) => `\\p{Script=${script}}`)
  .join("");

/** Flags of England, Scotland and Wales, the only ones that are spelt with tag characters. */
const FLAGS = ["gbeng", "gbsct", "gbwls"].map((code) =>
  [...code].map((letter) => String.fromCodePoint(0xe0000 + letter.charCodeAt(0))).join(""),
);

const EMOJI = "\\p{Extended_Pictographic}\\p{Emoji_Modifier}?[\\uFE0E\\uFE0F]?";

/** Matches invisible characters: those that shape a visible one along with it, all others in a capture group. */
const VISIBLE_OR_INVISIBLE = new RegExp(
  [
    `\\u{1F3F4}(?:${FLAGS.join("|")})\\u{E007F}`,
    `${EMOJI}(?:\\u200D${EMOJI})*`,
    "[0-9#*]\\uFE0F\\u20E3", // keycaps
    `[${JOINING}][\\u200C\\u200D]`,
    "\\p{Script=Mongolian}[\\u180B-\\u180D\\u180F]",
    `(${INVISIBLE})`,
  ].join("|"),
  "gu",
);

const dropInvisible = (text: string): string =>
  text.replace(VISIBLE_OR_INVISIBLE, (match, invisible: string | undefined) => (invisible === undefined ? match : ""));

/** Without spaces and commas, so that a name in a list cannot pass for two names or for a sentence. */
const HARMLESS_NAME = /^[\p{L}\p{N}\p{M}\p{So}._/@+=~#%:[\]()-]+$/u;

/** Also the marks that our own texts use: "<" opens a tag, "·" separates facts. */
const ESCAPED_IN_NAMES = new RegExp(`${INVISIBLE}|[<·\\x7f-\\x9f\\u2028\\u2029]`, "gu");

const ESCAPED_ALONE = new RegExp(`${INVISIBLE}|[\\0-\\x1f\\x7f-\\x9f\\u2028\\u2029]`, "gu");

const toEscape = (character: string): string =>
  Array.from(
    { length: character.length },
    (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
  ).join("");
