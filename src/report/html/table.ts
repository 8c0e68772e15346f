import { type Html, type HtmlValue, html } from "./html.ts";

export interface Column {
  readonly title: string;
  /** Numbers stand at the right, and are sorted as numbers. */
  readonly isNumber?: boolean;
}

/** A cell that is sorted by another value than it shows. */
export interface Cell {
  readonly shown: HtmlValue;
  readonly by: number | string;
}

export type Row = readonly (HtmlValue | Cell)[];

/** @param caption what the table has, for whoever does not see where it stands */
export function table(caption: string, columns: readonly Column[], rows: readonly Row[]): Html {
  const head = columns.map(({ title, isNumber }) => html`<th scope="col"${isNumber ? N : ""}>${title}</th>`);
  const body = rows.map((row) => html`<tr>${row.map((cell, index) => td(cell, columns[index]))}</tr>\n`);
  return html`<div class="wide" tabindex="0" role="region" aria-label="${caption}"><table><caption>${caption}</caption><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
}

const N = html` class="n"`;

function td(cell: HtmlValue | Cell, column: Column | undefined): Html {
  const { shown, by } = isCell(cell) ? cell : { shown: cell, by: undefined };
  return html`<td${column?.isNumber ? N : ""}${by === undefined ? "" : html` data-by="${by}"`}>${shown}</td>`;
}

const isCell = (cell: HtmlValue | Cell): cell is Cell => typeof cell === "object" && cell !== null && "shown" in cell;
