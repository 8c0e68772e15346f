import { type Line, piece, row } from "../text.ts";
import { KEYS } from "./keys.ts";

const LINES = KEYS.filter(({ shown }) => shown !== "");
const WIDEST_KEY = 10;

/** All keys with what they do; in two columns where they would not fit into one. */
export function helpLines(columns: number, rows: number): readonly Line[] {
  const isSplit = LINES.length > rows && columns >= 60;
  const height = isSplit ? Math.ceil(LINES.length / 2) : LINES.length;
  const width = isSplit ? Math.floor(columns / 2) : columns;
  return LINES.slice(0, height).map((_, at): Line => {
    const [left, right] = [keyCell(at, width), isSplit ? keyCell(at + height, width) : []];
    return [...left, ...right];
  });
}

function keyCell(at: number, columns: number): Line {
  const key = LINES[at];
  if (!key) return [];
  const cell = row(columns - 1, [
    { ...piece(key.shown, "accent"), bold: true },
    piece(" ".repeat(Math.max(1, WIDEST_KEY - key.shown.length))),
    piece(key.does),
  ]);
  const used = cell.reduce((sum, { text }) => sum + text.length, 0);
  return [...cell, piece(" ".repeat(Math.max(0, columns - used)))];
}
