import { startOfLastLines } from "./plain-output.ts";
import { newRow, type Row, setText, sizeOf, textOf, toNew } from "./row.ts";

/** Rows that can still be redrawn: more than any terminal is high. */
const MOST_ROWS = 128;
export const ROWS_KEPT = 64;
const MOST_BYTES = 64 * 1024;
/** A longer row is passed on in pieces. */
const ROW_BYTES = 8 * 1024;

/** The rows of a screen that may still change, and the one that the cursor is in. Bounded in memory. */
export class Rows {
  #rows: Row[] = [newRow()];
  #at = 0;
  /** Rows released so far; numbers of rows count from the first one ever. */
  #released = 0;
  #bytes = 0;
  #done: (string | Buffer)[] = [];

  /** Number of the cursor's row. */
  get at(): number {
    return this.#released + this.#at;
  }

  get row(): Row {
    return this.#rows[this.#at] ?? newRow();
  }

  get last(): number {
    return this.#released + this.#rows.length - 1;
  }

  /** Moves the cursor to a row, which is made if it is below the last one; rows that are final are out of reach. */
  moveTo(number: number): void {
    this.#at = Math.max(0, Math.min(number - this.#released, this.#rows.length + ROWS_KEPT));
    while (this.#rows.length <= this.#at) this.#rows.push(newRow());
    if (this.#rows.length > 2 * MOST_ROWS) this.#release();
  }

  eraseBelow(): void {
    this.#rows.length = this.#at + 1;
  }

  /** Counts what was written, of which the oldest becomes final at some time. */
  written(bytes: number): void {
    this.#bytes += bytes;
    if (sizeOf(this.row) > ROW_BYTES) this.#releasePiece();
  }

  /** Writes plain text behind the last row. */
  append(chunk: Buffer): void {
    let rest = chunk;
    const kept = startOfLastLines(chunk, ROWS_KEPT);
    if (kept > ROW_BYTES) {
      const firstEnd = chunk.indexOf("\n");
      setText(this.row, textOf(this.row) + chunk.toString("latin1", 0, firstEnd));
      this.moveTo(this.last + 1);
      this.#releaseRows(this.#at);
      this.#done.push(chunk.subarray(firstEnd + 1, kept));
      rest = chunk.subarray(kept);
    }
    for (const [i, line] of rest.toString("latin1").split("\n").entries()) {
      if (i > 0) this.moveTo(this.last + 1);
      setText(this.row, textOf(this.row) + line);
      this.written(line.length);
    }
  }

  /** @returns bytes of rows that will not change any more */
  takeDone(): Buffer {
    if (this.#rows.length > MOST_ROWS || this.#bytes > MOST_BYTES) this.#release();
    if (this.#done.length === 0) return EMPTY;
    const done = this.#done.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part));
    this.#done = [];
    return Buffer.concat(done);
  }

  /** Bytes of the other rows that were not shown yet. */
  toShow(): string {
    const last = this.#rows.length - 1;
    return this.#rows.map((row, i) => toNew(row, i === last ? "" : "\n")).join("");
  }

  setShown(): void {
    for (const row of this.#rows) row.shown = textOf(row);
  }

  #release(): void {
    const sizes = this.#rows.map(sizeOf);
    let bytes = sizes.reduce((sum, size) => sum + size, 0);
    let count = Math.max(0, this.#rows.length - ROWS_KEPT);
    for (const [i, size] of sizes.entries()) {
      if (i >= count && bytes <= MOST_BYTES / 2) break;
      bytes -= size;
      count = Math.max(count, i + 1);
    }
    this.#releaseRows(Math.min(count, this.#at));
    this.#bytes = Math.min(bytes, MOST_BYTES / 2);
  }

  #releaseRows(count: number): void {
    this.#done.push(...this.#rows.splice(0, count).map((row) => toNew(row, "\n")));
    this.#at -= count;
    this.#released += count;
  }

  /** Passes on the beginning of a row that grows without an end, and all rows above it. */
  #releasePiece(): void {
    this.#releaseRows(this.#at);
    const { row } = this;
    const text = textOf(row);
    const end = Math.max(0, text.length - ROW_BYTES / 2);
    const known = row.shown !== null && text.startsWith(row.shown) ? row.shown.length : 0;
    this.#done.push(text.slice(Math.min(known, end), end));
    setText(row, text.slice(end));
    row.shown = known > 0 ? text.slice(end, known) : null;
  }
}

const EMPTY = Buffer.alloc(0);
