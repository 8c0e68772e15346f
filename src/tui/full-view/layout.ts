/** Where the parts of the full view are, in columns and rows. */
export interface Layout {
  readonly list: { readonly columns: number; readonly rows: number };
  /** null = there is no room for it. */
  readonly detail: { readonly columns: number; readonly rows: number; readonly isBeside: boolean } | null;
}

/** Columns from which on the detail is beside the list. */
const WIDE = 110;
/** Rows of list and detail together below which only the list is shown. */
const LOW = 9;

/** @param rows that list and detail have together @param entries of the list: what a short one leaves is the detail's */
export function layoutOf(columns: number, rows: number, entries = Number.POSITIVE_INFINITY): Layout {
  const width = Math.max(1, columns);
  const height = Math.max(1, rows);
  if (width >= WIDE) {
    const list = Math.min(90, Math.floor(width * 0.5));
    return {
      list: { columns: list, rows: height },
      detail: { columns: width - list - GAP, rows: height, isBeside: true },
    };
  }
  if (height < LOW) return { list: { columns: width, rows: height }, detail: null };
  const list = Math.max(4, Math.min(entries, Math.floor((height - 1) * 0.45)));
  return {
    list: { columns: width, rows: list },
    // One row is the line between them.
    detail: { columns: width, rows: height - list - 1, isBeside: false },
  };
}

/** Columns of the line between list and detail. */
const GAP = 3;
