import { findSimilarLines, type SimilarLines } from "./similar-lines.ts";

/*
 * Replaces a text in a file. E1: nothing but the exact text is replaced; line endings, and white space at the ends of whole
 * lines, are all that may differ. E2: a text that is in several places is replaced in none, unless all are meant. E3: every
 * line that is not changed keeps its ending, and a new line gets the ending of the lines around it.
 */

export interface EditRequest {
  readonly oldText: string;
  readonly newText: string;
  /** Replace every occurrence. */
  readonly all: boolean;
}

export type EditOutcome =
  | {
      readonly kind: "edited";
      readonly text: string;
      /** Numbers of the lines, from 1, in which the replaced texts began. */
      readonly lines: readonly number[];
      /** The file differed in white space at the ends of lines. */
      readonly hasOtherSpaces: boolean;
    }
  | { readonly kind: "same" | "same_but_endings" | "unchanged" }
  | { readonly kind: "ambiguous"; readonly lines: readonly number[] }
  | {
      readonly kind: "missing";
      /** The line in which the new text begins, when it is in one place of the file already. */
      readonly madeInLine: number | null;
      /** Whether the file has the text with line breaks and tabs where `oldText` has \n and \t, two characters each. */
      readonly isEscaped: boolean;
      readonly similar: SimilarLines | null;
    };

/** Counting stops here: nobody reads more numbers of lines. */
const MOST_COUNTED = 100_000;

export function editText(text: string, { oldText, newText, all }: EditRequest): EditOutcome {
  if (oldText === newText) return { kind: "same" };
  const endings = endingsOf(text);
  const sought = endings.normalize(oldText);
  const replacement = endings.normalize(newText);
  if (sought === replacement) return { kind: "same_but_endings" };
  const normal = endings.normalize(text);
  const exact = placesOf(normal, sought, all);
  const places = exact.length > 0 ? exact : placesButForSpaces(normal, sought, replacement);
  const lines = linesAt(
    normal,
    places.map(({ from }) => from),
  );
  if (places.length === 0) {
    const made = madeAt(normal, replacement);
    const meant = sought.replaceAll("\\n", "\n").replaceAll("\\t", "\t");
    const isEscaped = meant !== sought && normal.includes(meant);
    return {
      kind: "missing",
      madeInLine: made === null ? null : (linesAt(normal, [made])[0] ?? null),
      isEscaped,
      similar: isEscaped ? null : findSimilarLines(normal, sought),
    };
  }
  if (places.length > 1 && !(all && exact.length > 0)) return { kind: "ambiguous", lines };
  const edited = replace(
    text,
    endings,
    places.map((place) => ({ replacement, ...place })),
    newText.includes("\r\n") ? "\r\n" : "\n",
  );
  if (edited === text) return { kind: "unchanged" };
  return { kind: "edited", text: edited, lines, hasOtherSpaces: exact.length === 0 };
}

/** What ends the lines of a file: LF, CRLF, both, or CR alone in a file without any LF. */
interface Endings {
  readonly pattern: RegExp;
  /** The text with LF at the ends of lines. */
  normalize(text: string): string;
}

function endingsOf(text: string): Endings {
  const isCrAlone = text.includes("\r") && !text.includes("\n");
  if (isCrAlone) return { pattern: /\r/g, normalize: (one) => one.replace(/\r\n?/g, "\n") };
  return { pattern: /\r?\n/g, normalize: (one) => one.replaceAll("\r\n", "\n") };
}

interface Place {
  /** In the normalized text. */
  readonly from: number;
  readonly to: number;
  /** When it differs from the one asked for. */
  readonly replacement?: string;
}

const LETTER = /[\p{L}\p{N}_]/u;

/** The only place of a text that is more than white space, if it is not within words: a short text is in most files somewhere. */
function madeAt(normal: string, made: string): number | null {
  const at = made.trim() === "" ? -1 : normal.indexOf(made);
  if (at < 0 || normal.includes(made, at + 1)) return null;
  const [before = "", after = ""] = [normal[at - 1], normal[at + made.length]];
  const isWithin =
    (LETTER.test(before) && LETTER.test(made[0] ?? "")) || (LETTER.test(made.at(-1) ?? "") && LETTER.test(after));
  return isWithin ? null : at;
}

/** Overlapping places count too when one is to be found: either could be meant. */
function placesOf(normal: string, sought: string, all: boolean): Place[] {
  const places: Place[] = [];
  const step = all ? sought.length : 1;
  for (
    let at = normal.indexOf(sought);
    at >= 0 && (all || places.length < MOST_COUNTED);
    at = normal.indexOf(sought, at + step)
  )
    places.push({ from: at, to: at + sought.length });
  return places;
}

/** Places of whole lines that differ from the sought ones in white space at their ends alone. */
function placesButForSpaces(normal: string, sought: string, replacement: string): Place[] {
  const endsWithBreak = sought.endsWith("\n");
  const wanted = (endsWithBreak ? sought.slice(0, -1) : sought).split("\n");
  const trimmed = wanted.map(trimEnd);
  if (trimmed.every((line) => line === "")) return [];
  const lines = normal.split("\n");
  const places: Place[] = [];
  let from = 0;
  for (let first = 0; first + wanted.length <= lines.length; from += (lines[first] ?? "").length + 1, first++) {
    if (!trimmed.every((line, i) => trimEnd(lines[first + i] ?? "") === line)) continue;
    const found = lines.slice(first, first + wanted.length);
    const isLast = first + wanted.length === lines.length;
    if (endsWithBreak && isLast) continue; // no line ends there
    const to = from + found.join("\n").length + (endsWithBreak ? 1 : 0);
    places.push({ from, to, replacement: withSpacesOf(found, wanted, replacement) });
  }
  return places;
}

/** The replacement, in which the lines before and after the change are as they are in the file. */
function withSpacesOf(found: readonly string[], wanted: readonly string[], replacement: string): string {
  const lines = replacement.split("\n");
  const least = Math.min(lines.length, wanted.length);
  let before = 0;
  while (before < least && lines[before] === wanted[before]) before++;
  for (let i = 0; i < before; i++) lines[i] = found[i] ?? "";
  for (let i = 1; i <= least - before && lines.at(-i) === wanted.at(-i); i++)
    lines[lines.length - i] = found.at(-i) ?? "";
  return lines.join("\n");
}

const trimEnd = (line: string): string => line.replace(/[ \t]+$/, "");

function replace(text: string, { pattern }: Endings, places: readonly Required<Place>[], given: string): string {
  const marks = toOriginal(
    text,
    places.flatMap(({ from, to }) => [from, to]),
  );
  const parts: string[] = [];
  let done = 0;
  for (const [i, place] of places.entries()) {
    const from = marks[2 * i] ?? 0;
    const to = marks[2 * i + 1] ?? 0;
    const old = text.slice(from, to);
    const isWithinLine = place.replacement.includes("\n") && !new RegExp(pattern.source).test(old);
    const fallback = (isWithinLine ? endingNear(text, from, to, pattern) : null) ?? given;
    parts.push(text.slice(done, from), withEndingsOf(old, place.replacement, pattern, fallback));
    done = to;
  }
  parts.push(text.slice(done));
  return parts.join("");
}

/** Offsets in a text for ascending offsets in its normalized form, in which each CRLF is one character. */
function toOriginal(text: string, offsets: readonly number[]): number[] {
  let shorter = 0;
  let next = text.includes("\n") ? text.indexOf("\r\n") : -1;
  return offsets.map((offset) => {
    while (next >= 0 && next - shorter < offset) {
      shorter++;
      next = text.indexOf("\r\n", next + 2);
    }
    return offset + shorter;
  });
}

/** The ending of the line that ends next, or else of the line before; null in a text without line ends. */
function endingNear(text: string, from: number, to: number, pattern: RegExp): string | null {
  const after = new RegExp(pattern);
  after.lastIndex = to;
  const next = after.exec(text);
  if (next) return next[0];
  const break_ = Math.max(text.lastIndexOf("\n", from - 1), text.lastIndexOf("\r", from - 1));
  if (from === 0 || break_ < 0) return null;
  return text[break_] === "\n" && text[break_ - 1] === "\r" ? "\r\n" : (text[break_] ?? null);
}

/** The new lines with the endings of the old ones. */
function withEndingsOf(old: string, replacement: string, pattern: RegExp, fallback: string): string {
  const endings = old.match(pattern) ?? [];
  const lines = replacement.split("\n");
  if (new Set(endings).size < 2) return lines.join(endings[0] ?? fallback);
  const oldLines = old.split(new RegExp(pattern.source));
  let at = 0;
  let chosen = endings[0] ?? fallback;
  const kept = lines.slice(0, -1).map((line, i) => {
    const same = oldLines.indexOf(line, at);
    if (same >= 0 && same < endings.length) {
      chosen = endings[same] ?? chosen;
      at = same + 1;
    } else if (lines.length === oldLines.length) chosen = endings[i] ?? chosen;
    return `${line}${chosen}`;
  });
  return `${kept.join("")}${lines.at(-1) ?? ""}`;
}

/** Numbers of the lines, from 1, at ascending offsets. */
function linesAt(normal: string, offsets: readonly number[]): number[] {
  let line = 1;
  let next = normal.indexOf("\n");
  return offsets.map((offset) => {
    while (next >= 0 && next < offset) {
      line++;
      next = normal.indexOf("\n", next + 1);
    }
    return line;
  });
}
