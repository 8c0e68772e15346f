import { EscapeReader, type OutputSink } from "./escape-reader.ts";
import { isPlain } from "./plain-output.ts";
import { cellsOf, charactersOf, setText, textOf } from "./row.ts";
import { ROWS_KEPT, Rows } from "./rows.ts";

const MOST_COLUMNS = 2_000;

/** Control sequences that move the cursor or erase. */
const MOVING = new Set([..."ABCDEFGHfJKsu", "save", "restore"]);

/*
 * What a program's output looks like on a terminal: redrawn lines in their last state, without escape codes. Text is bytes
 * here, one character each ("latin1"), so that it is passed on unchanged. Memory is bounded: lines are final once many more
 * have followed. A terminal's width, and programs that fill the whole screen, are only approximated.
 */
export class Screen {
  readonly #escapes = new EscapeReader();
  readonly #rows = new Rows();
  /** Column of the cursor, in characters; null: behind the row's last one. */
  #column: number | null = null;
  /** What is being drawn from the beginning of a row on, in place of what the row was; null: nothing is. */
  #drawing: string | null = null;
  /** The first row of programs that address rows by number; null: none has. */
  #origin: number | null = null;
  #saved: { readonly at: number; readonly column: number | null } | null = null;
  /** What is drawn now is a status line elsewhere on the screen (apt), which ends when the cursor is restored. */
  #isElsewhere = false;
  #alternate: number | null = null;

  readonly #sink: OutputSink = {
    text: (bytes) => {
      if (!this.#isElsewhere) this.#write(bytes);
    },
    control: (code) => {
      if (!this.#isElsewhere) this.#control(code);
    },
    escape: (final, parameters) => this.#escape(final, parameters),
  };

  /** @returns bytes of rows that will not change any more */
  push(bytes: Uint8Array): Buffer {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    // Most output is plain text behind the text before, of which gigabytes may come.
    if (this.#isAtEnd() && this.#escapes.isIdle && isPlain(chunk)) this.#rows.append(chunk);
    else this.#escapes.read(chunk.toString("latin1"), this.#sink);
    return this.#rows.takeDone();
  }

  /** Bytes of the rows that `push` has not returned, as they are now, without what was taken. */
  shown(): Buffer {
    this.#settle();
    return Buffer.from(this.#rows.toShow() + this.#escapes.heldText(), "latin1");
  }

  /** As `shown`; the next calls return only what has changed since. */
  takeShown(): Buffer {
    const shown = this.shown();
    this.#rows.setShown();
    return shown;
  }

  #isAtEnd(): boolean {
    return this.#column === null && this.#rows.at === this.#rows.last && !this.#isElsewhere;
  }

  #write(text: string): void {
    const { row } = this.#rows;
    if (this.#drawing !== null && this.#drawing.length < MOST_COLUMNS) {
      this.#drawing += text;
      return;
    }
    this.#settle();
    if (this.#column === null) setText(row, textOf(row) + text);
    else {
      const cells = cellsOf(row);
      while (cells.length < this.#column) cells.push(" ");
      for (const character of charactersOf(text)) cells[this.#column++] = character;
      if (this.#column > MOST_COLUMNS) this.#column = null;
    }
    this.#rows.written(text.length);
  }

  #control(code: string): void {
    if (code === "\t") this.#write(code);
    else if (code === "\b") this.#moveTo(this.#columnNow() - 1);
    else {
      this.#settle();
      if (code === "\n") this.#rows.moveTo(this.#rows.at + 1);
      this.#startDrawing();
    }
  }

  #startDrawing(): void {
    const { row } = this.#rows;
    const isEmpty = row.text === "" && row.cells === null;
    this.#column = isEmpty ? null : 0;
    this.#drawing = isEmpty ? null : "";
  }

  /** Ends a drawing. One character alone is a spinner in front of a text that stays. */
  #settle(): void {
    const drawing = this.#drawing;
    this.#drawing = null;
    if (drawing === null || drawing === "") return;
    const { row } = this.#rows;
    const characters = charactersOf(drawing);
    if (characters.length > 1 || row.text.length > MOST_COLUMNS) {
      const kept = drawing.replace(/ +$/, ""); // spaces that erase what was there
      setText(row, kept);
      this.#column = kept === drawing ? null : characters.length;
    } else {
      cellsOf(row)[0] = drawing;
      this.#column = 1;
    }
    this.#rows.written(drawing.length);
  }

  #columnNow(): number {
    return this.#column ?? Math.min(MOST_COLUMNS, cellsOf(this.#rows.row).length);
  }

  #moveTo(column: number): void {
    this.#settle();
    if (this.#rows.row.text.length > MOST_COLUMNS) return;
    const now = this.#columnNow();
    this.#column = Math.max(0, Math.min(MOST_COLUMNS, column));
    if (this.#column === 0 && now > 1) this.#startDrawing();
  }

  #moveToRow(at: number): void {
    this.#settle();
    const column = this.#columnNow();
    this.#rows.moveTo(at);
    this.#column = column;
    if (column === 0) this.#startDrawing();
  }

  #escape(final: string, parameters: string): void {
    const [first = 0, second = 0] = parameters.split(";").map((one) => Math.min(9_999, Number.parseInt(one, 10) || 0));
    const count = Math.max(1, first);
    const isSwitch = (final === "h" || final === "l") && /^\?(?:47|1047|1049)$/.test(parameters);
    if (!isSwitch && !MOVING.has(final)) return; // colours, for one
    if (this.#drawing !== "" || final !== "K") this.#settle();
    if (final === "u" || final === "restore") this.#restore();
    else if (this.#isElsewhere) return;
    else if (final === "A" || final === "F") this.#moveToRow(this.#rows.at - count);
    else if (final === "B" || final === "E") this.#moveToRow(Math.min(this.#rows.at + count, this.#rows.last));
    else if (final === "C") this.#moveTo(this.#columnNow() + count);
    else if (final === "D") this.#moveTo(this.#columnNow() - count);
    else if (final === "G") this.#moveTo(count - 1);
    else if (final === "H" || final === "f") this.#moveToPlace(count, Math.max(1, second));
    else if (final === "J") this.#eraseRows(first);
    else if (final === "K") this.#eraseInRow(first);
    else if (final === "s" || final === "save") this.#saved = { at: this.#rows.at, column: this.#column };
    else if (isSwitch) this.#switchScreen(final === "h");
    if (final === "E" || final === "F") this.#moveTo(0);
  }

  #moveToPlace(row: number, column: number): void {
    if (this.#saved !== null) {
      this.#isElsewhere = true;
      return;
    }
    this.#moveToRow(this.#findOrigin() + Math.min(row, ROWS_KEPT) - 1);
    this.#moveTo(column - 1);
    if (column === 1) this.#startDrawing();
  }

  /** Rows are counted from what was printed before: that stays. So does a screenful that has scrolled by. */
  #findOrigin(): number {
    const { last } = this.#rows;
    if (this.#origin !== null && last - this.#origin <= ROWS_KEPT) return this.#origin;
    this.#settle();
    this.#rows.moveTo(last);
    if (textOf(this.#rows.row) !== "") this.#rows.moveTo(last + 1);
    this.#column = null;
    this.#origin = this.#rows.at;
    return this.#origin;
  }

  #eraseRows(what: number): void {
    if (what === 1 || (what !== 0 && this.#saved !== null)) return;
    if (what === 0) {
      this.#eraseInRow(0);
      this.#rows.eraseBelow();
    } else this.#eraseFrom(this.#findOrigin());
  }

  #eraseFrom(at: number): void {
    this.#rows.moveTo(at);
    this.#rows.eraseBelow();
    setText(this.#rows.row, "");
    this.#column = null;
    this.#drawing = null;
  }

  #eraseInRow(what: number): void {
    const { row } = this.#rows;
    if (row.text.length > MOST_COLUMNS) {
      if (what === 2 || this.#drawing === "") setText(row, "");
      return;
    }
    const column = this.#columnNow();
    const cells = cellsOf(row);
    if (what === 2) cells.length = 0;
    else if (what === 0) cells.length = Math.min(cells.length, column);
    else cells.fill(" ", 0, column);
    this.#column = column;
  }

  #restore(): void {
    const saved = this.#saved;
    const wasElsewhere = this.#isElsewhere;
    this.#saved = null;
    this.#isElsewhere = false;
    if (saved === null || wasElsewhere) return;
    this.#moveToRow(Math.min(saved.at, this.#rows.last));
    this.#drawing = null;
    this.#column = saved.column;
  }

  /** The alternate screen of editors and pagers: what was on it is gone when they leave. */
  #switchScreen(isOn: boolean): void {
    this.#saved = null;
    this.#origin = null;
    if (isOn) this.#alternate = this.#findOrigin();
    else if (this.#alternate !== null) {
      this.#eraseFrom(this.#alternate);
      this.#alternate = null;
    }
  }
}
