/** The rows of a long list that are drawn; the space of the others is kept free, so that the scroll bar is right. */
export interface RowWindow {
  /** Index of the first row drawn. */
  readonly first: number;
  /** Index after the last row drawn. */
  readonly end: number;
  /** Pixels above and below the rows drawn. */
  readonly above: number;
  readonly below: number;
}

/** Rows drawn beyond those in sight, so that scrolling a little shows no gap. */
const BEYOND = 8;

/** @param height of a row; all in pixels */
export function rowsInView(total: number, height: number, scrolled: number, visible: number): RowWindow {
  const last = Math.max(0, total - 1);
  const first = Math.min(Math.max(0, Math.floor(scrolled / height) - BEYOND), last);
  const end = Math.min(total, Math.max(first, Math.ceil((scrolled + visible) / height) + BEYOND));
  return { first, end, above: first * height, below: (total - end) * height };
}
