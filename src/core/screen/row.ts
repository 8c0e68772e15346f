/** A row of a screen. Text is bytes, one character each ("latin1"). */
export interface Row {
  text: string;
  /** The characters in place of `text`, while single ones are overwritten. */
  cells: string[] | null;
  /** As it was when it was last taken; null: not yet. */
  shown: string | null;
}

export const newRow = (): Row => ({ text: "", cells: null, shown: null });

export function textOf(row: Row): string {
  if (row.cells !== null) setText(row, row.cells.join(""));
  return row.text;
}

export function setText(row: Row, text: string): void {
  row.text = text;
  row.cells = null;
}

export function cellsOf(row: Row): string[] {
  row.cells ??= charactersOf(row.text);
  row.text = "";
  return row.cells;
}

/** At least the number of its characters. */
export const sizeOf = (row: Row): number => row.cells?.length ?? row.text.length;

/** What of a row was not shown yet. A row that was drawn anew is shown again. */
export function toNew(row: Row, end: string): string {
  const text = textOf(row);
  const { shown } = row;
  if (shown === null) return text + end;
  if (text === shown) return "";
  return (text.startsWith(shown) ? text.slice(shown.length) : text) + end;
}

/** The bytes of each UTF-8 character. */
export const charactersOf = (bytes: string): string[] => bytes.match(/[\xc2-\xf4][\x80-\xbf]{1,3}|./gs) ?? [];
