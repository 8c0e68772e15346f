/*
 * What a job, a file name or a program wrote, made fit to be read: by a person at a terminal or in a browser, and by a
 * model. Gone is whatever is not seen and yet does something: escape codes, controls, bidirectional overrides, and
 * characters of no width, in which words for a model can be hidden from a person. What is seen stays as it is.
 */

/** Text of several lines. Every kind of line break becomes a line feed; other controls than that and tab are gone. */
export function plainText(text: string): string {
  const lines = withoutEscapeCodes(wellFormed(text)).replace(LINE_BREAKS, "\n");
  return dropUnseen(lines.replace(CONTROLS, ""));
}

/** Text of one line, with single spaces, of at most `max` characters. */
export function oneLine(text: string, max = 500): string {
  // Cut roughly first: nobody reads the end of a line of megabytes, and the expressions below would.
  const start = text.length > 16 * max ? text.slice(0, 16 * max) : text;
  const line = plainText(start).replace(/\s+/gu, " ").trim();
  const characters = [...line];
  const isCut = characters.length > max || start.length < text.length;
  return isCut ? `${characters.slice(0, max - 1).join("")}…` : line;
}

/**
 * A name that may hold anything, such as a file's: as it is where it can be taken for nothing else, otherwise in quotes
 * with escapes for what is not seen, so that it can still be told from others.
 */
export function plainName(name: string, max = 500): string {
  if (name.length <= max && HARMLESS_NAME.test(name) && oneLine(name, max) === name) return name;
  const start = wellFormed(wellFormed(name).slice(0, max));
  const quoted = JSON.stringify(start).replace(UNSEEN_IN_NAMES, toEscape);
  return start.length < name.length ? `${quoted}…` : quoted;
}

/** One line in double quotes that nothing inside can close. */
export const inQuotes = (text: string, max = 500): string => `"${oneLine(text, max).replace(/["\\]/g, "\\$&")}"`;

/** How many characters `plainText` takes out because they would not be seen, escape codes apart. */
export function countInvisible(text: string): number {
  const lines = withoutEscapeCodes(wellFormed(text)).replace(LINE_BREAKS, "\n");
  return [...lines].length - [...dropUnseen(lines.replace(CONTROLS, ""))].length;
}

/** What a terminal would take for an order to itself: colours, cursor moves, titles, links. The text of links stays. */
export const withoutEscapeCodes = (text: string): string => text.replace(ESCAPE_CODES, "");

/** A program's output as it stands on a screen at its end: of a line drawn anew and anew the last, without escape codes. */
export function screenText(text: string): string {
  return withoutEscapeCodes(text)
    .split("\n")
    .map((line) => (line.includes("\r") ? (line.split("\r").findLast((drawn) => drawn !== "") ?? "") : line))
    .join("\n")
    .replace(CONTROLS, "");
}

const ESCAPE_CODES = new RegExp(
  [
    // strings up to their end (titles, links, device controls): without an end on the line only what opens them goes
    "(?:\\x1b[\\]PX^_]|[\\x9d\\x90\\x98\\x9e\\x9f])[^\\x07\\x1b\\n\\x90\\x98\\x9c-\\x9f]*(?:\\x07|\\x1b\\\\|\\x9c)",
    "(?:\\x1b\\[|\\x9b)[0-?]*[ -/]*[@-~]", // controls with parameters
    "\\x1b[ -/]*[0-~]", // all others
  ].join("|"),
  "g",
);

/** Half a character alone becomes the replacement character. Without the flag `u`: with it Bun 1.3 overlooks some. */
const wellFormed = (text: string): string =>
  text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\uFFFD");

const LINE_BREAKS = /\r\n|[\r\v\f\x85\u2028\u2029]/g;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is for
const CONTROLS = /[\0-\x08\x0b-\x1f\x7f-\x9f]/g;

/** Of no width, or without a meaning of their own (Unicode's "default ignorable", and what annotates other text). */
const UNSEEN = "[\\p{Default_Ignorable_Code_Point}\\uFFF9-\\uFFFB\\uFFFE\\uFFFF]";

/** Scripts in which a joiner between two letters is part of the spelling. */
const JOINING = [
  ...["Arabic", "Syriac", "Mongolian", "Nko", "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil"],
  ...["Telugu", "Kannada", "Malayalam", "Sinhala", "Khmer", "Myanmar", "Tibetan"],
]
  .map((script) => `\\p{Script=${script}}`)
  .join("");

/** England, Scotland and Wales: the only flags that are spelt with tag characters. */
const FLAGS = ["gbeng", "gbsct", "gbwls"].map((code) =>
  [...code].map((letter) => String.fromCodePoint(0xe0000 + letter.charCodeAt(0))).join(""),
);

const EMOJI = "\\p{Extended_Pictographic}\\p{Emoji_Modifier}?[\\uFE0E\\uFE0F]?";

/** What is not seen by itself, where it shapes what is seen; else in a group of its own what is to go. */
const SEEN_OR_UNSEEN = new RegExp(
  [
    `\\u{1F3F4}(?:${FLAGS.join("|")})\\u{E007F}`,
    `${EMOJI}(?:\\u200D${EMOJI})*`,
    "[0-9#*]\\uFE0F\\u20E3", // keycaps
    `[${JOINING}][\\u200C\\u200D]`,
    "\\p{Script=Mongolian}[\\u180B-\\u180D\\u180F]",
    `(${UNSEEN})`,
  ].join("|"),
  "gu",
);

const dropUnseen = (text: string): string =>
  text.replace(SEEN_OR_UNSEEN, (whole, unseen: string | undefined) => (unseen === undefined ? whole : ""));

/** No space and no comma: in a list a name must not pass for two, nor for a sentence. */
const HARMLESS_NAME = /^[\p{L}\p{N}\p{M}\p{So}._/@+=~#%:[\]()-]+$/u;

const UNSEEN_IN_NAMES = new RegExp(`${UNSEEN}|[<·\\x7f-\\x9f\\u2028\\u2029]`, "gu"); // "<" opens our marks, "·" ends our facts

const toEscape = (character: string): string =>
  Array.from(
    { length: character.length },
    (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
  ).join("");
