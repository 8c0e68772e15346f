import { plainText } from "../../shared/plain-text.ts";
import { columnsOf } from "../text.ts";

/**
 * A cleaned text of several lines in rows of at most `columns` columns, broken at spaces where there are any.
 * @returns no more than `most` rows, the last of which says that something is left out; none where there is nothing to read
 */
export function wrapText(text: string, columns: number, most: number): readonly string[] {
  if (columns <= 0 || most <= 0) return [];
  // What would never be shown is not worked through: a result may have megabytes.
  const start = text.slice(0, most * columns * 4 + 1_000);
  const rows = rowsOf(start, columns, most);
  if (rows.length <= most && start.length === text.length) return rows;
  return [...rows.slice(0, most - 1), columns >= MORE.length ? MORE : "…"];
}

/** The last `most` rows of a text, such as the newest output. */
export const lastRows = (text: string, columns: number, most: number): readonly string[] =>
  columns <= 0 || most <= 0
    ? []
    : rowsOf(text.slice(-most * columns * 4), columns, Number.POSITIVE_INFINITY).slice(-most);

const MORE = "… more than fits here";

/** @param enough rows after which no further line is begun */
function rowsOf(text: string, columns: number, enough: number): string[] {
  const rows: string[] = [];
  const plain = plainText(text).replaceAll("\t", "  ").trimEnd();
  if (plain === "") return rows;
  for (const line of plain.split("\n")) {
    if (rows.length > enough) break;
    wrapLine(line.trimEnd(), columns, rows);
  }
  return rows;
}

function wrapLine(line: string, columns: number, rows: string[]): void {
  let [row, used] = ["", 0];
  for (const { segment } of CHARACTERS.segment(line)) {
    const width = columnsOf(segment);
    if (used + width > columns) {
      const space = row.lastIndexOf(" ");
      const isBroken = space > row.length / 2 && segment !== " ";
      rows.push((isBroken ? row.slice(0, space) : row).trimEnd());
      row = isBroken ? row.slice(space + 1) : "";
      used = columnsOf(row);
      if (segment === " " && row === "") continue;
      if (width > columns) continue; // wider than the screen
    }
    row += segment;
    used += width;
  }
  rows.push(row.trimEnd());
}

/** As a reader sees them: a letter with its accents is one. */
const CHARACTERS = new Intl.Segmenter();
