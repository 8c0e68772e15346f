// Text tables with box-drawing lines. Widths are counted in code points; cell texts carry no escape sequences.

export interface Column<Row> {
  readonly header: string;
  readonly value: (row: Row) => string;
  readonly align?: "left" | "right";
  /** Takes the width that the other columns leave; text that does not fit is cut with "…". At most one column. */
  readonly flexible?: boolean;
  /** Wraps a padded cell, e.g. in a colour. Must not change its visible width. */
  readonly paint?: (text: string, row: Row) => string;
}

const MIN_FLEXIBLE = 8;

/** A table as wide as its content needs, at most `width` columns (never cut below the fixed columns' own needs). */
export function renderTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[], width: number): string {
  const cells = rows.map((row) => columns.map((column) => clean(column.value(row))));
  const widths = columns.map((column, i) => Math.max(size(column.header), ...cells.map((line) => size(line[i] ?? ""))));
  const total = widths.reduce((sum, each) => sum + each + 3, 1);
  const flexible = columns.findIndex((column) => column.flexible);
  if (flexible >= 0 && total > width) {
    widths[flexible] = Math.max(MIN_FLEXIBLE, (widths[flexible] ?? 0) - (total - width));
  }
  const rule = (left: string, middle: string, right: string) =>
    left + widths.map((each) => "─".repeat(each + 2)).join(middle) + right;
  const line = (texts: readonly string[], row: Row | null) =>
    `│${columns
      .map((column, i) => {
        const text = pad(texts[i] ?? "", widths[i] ?? 0, column.align ?? "left");
        return ` ${row !== null && column.paint ? column.paint(text, row) : text} `;
      })
      .join("│")}│`;
  return [
    rule("┌", "┬", "┐"),
    line(
      columns.map((column) => column.header),
      null,
    ),
    rule("├", "┼", "┤"),
    ...rows.map((row, r) => line(cells[r] ?? [], row)),
    rule("└", "┴", "┘"),
  ].join("\n");
}

/** Removes line breaks and escape sequences from a job's text, which would break the table. */
export function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this removes
  const escapes = /\u001b\[[0-9;?]*[A-Za-z]|[\u0000-\u001f\u007f-\u009f]+/g;
  return text.replace(escapes, (match) => (match.length > 1 && match.startsWith("\u001b") ? "" : " ")).trim();
}

function pad(text: string, width: number, align: "left" | "right"): string {
  const points = [...text];
  if (points.length > width) return `${points.slice(0, width - 1).join("")}…`;
  const space = " ".repeat(width - points.length);
  return align === "right" ? space + text : text + space;
}

const size = (text: string) => [...text].length;
