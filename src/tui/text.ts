import { oneLine } from "../shared/plain-text.ts";

/*
 * Text for rows of the terminal: cleaned, on one line, and measured in columns. The host shows texts as they are: a tab,
 * a line feed or a wide character would break every row after it.
 */

/** How a piece of text is meant; the theme has the colours. */
export type Tone = "text" | "muted" | "good" | "bad" | "warning" | "accent";

export interface Piece {
  readonly text: string;
  readonly tone: Tone;
  readonly bold?: boolean;
}

/** One row. */
export type Line = readonly Piece[];

export const piece = (text: string, tone: Tone = "text"): Piece => ({ text, tone });

/** Columns that the terminal needs for a text. */
export const columnsOf = (text: string): number => Bun.stringWidth(text);

/** A cleaned text in at most `columns` columns; what is cut is marked by "…". */
export function cut(text: string, columns: number): string {
  if (columns <= 0) return "";
  const line = oneLine(text, LONGEST);
  if (columnsOf(line) <= columns) return line;
  let [kept, used] = ["", 0];
  for (const { segment } of GRAPHEMES.segment(line)) {
    const width = columnsOf(segment);
    if (used + width > columns - 1) break;
    kept += segment;
    used += width;
  }
  return `${kept.trimEnd()}…`;
}

/**
 * A row of at most `columns` columns. What does not fit is cut at the end of `left`; `right`, which is kept as long as there
 * is room for it, ends at the last column.
 */
export function row(columns: number, left: Line, right: Line = []): Line {
  const ends = right.flatMap((one) => clean(one));
  const room = columns - widthOf(ends);
  if (ends.length > 0 && room < LEAST_LEFT) return row(columns, left);
  const kept: Piece[] = [];
  let free = ends.length > 0 ? room - 1 : room;
  for (const one of left) {
    const text = cutPiece(one.text, free);
    if (free <= 0 || text === "") continue;
    kept.push({ ...one, text });
    free -= columnsOf(text);
  }
  if (ends.length === 0) return kept;
  return [...kept, piece(" ".repeat(Math.max(1, columns - widthOf(kept) - widthOf(ends)))), ...ends];
}

export const widthOf = (line: Line): number => line.reduce((sum, { text }) => sum + columnsOf(text), 0);

/** As it is read on the screen. */
export const textOf = (line: Line): string => line.map(({ text }) => text).join("");

/** Spaces at either end separate a piece from its neighbours or indent a row, so they stay. */
function cutPiece(text: string, columns: number): string {
  if (columns <= 0) return "";
  const inner = cut(text, LONGEST);
  if (inner === "") return /^ +$/.test(text) ? text.slice(0, columns) : "";
  const before = text.startsWith(" ") ? " " : "";
  const after = text.endsWith(" ") ? " " : "";
  const kept = cut(inner, columns - before.length);
  if (kept === "") return "";
  return `${before}${kept}${before.length + columnsOf(kept) < columns ? after : ""}`;
}

const clean = (one: Piece): Line => {
  const text = cutPiece(one.text, LONGEST);
  return text === "" ? [] : [{ ...one, text }];
};

const GRAPHEMES = new Intl.Segmenter();
/** Characters that are looked at; no terminal has as many columns. */
const LONGEST = 1_000;
/** Columns below which what is on the right is left out. */
const LEAST_LEFT = 8;
