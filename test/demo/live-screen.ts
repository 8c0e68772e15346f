// Shows running jobs: on a terminal one table redrawn in place, elsewhere (a log, a pipe) a line per change.
import { formatBpb, formatBytes, formatSeconds, type LiveRow, liveColumns, renderTable } from "./leaderboard.ts";
import { clean } from "./text-table.ts";

/** The part of `process.stdout` that is needed. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

const DEFAULT_WIDTH = 100;

/**
 * L1  On a terminal, the last `#height` lines above the cursor are the table, and nothing else.
 * L2  Elsewhere nothing is written twice: a row's line is written when what it says, time apart, has changed.
 */
export class LiveScreen {
  #height = 0;
  readonly #last = new Map<string, string>();
  readonly #screen: Screen;
  readonly #colour: boolean;

  constructor(screen: Screen, colour = screen.isTTY === true) {
    this.#screen = screen;
    this.#colour = colour;
  }

  /** Shows `rows`, replacing what was shown before. */
  update(rows: readonly LiveRow[]): void {
    if (this.#screen.isTTY) this.#redraw(rows);
    else for (const row of rows) this.#writeChange(row);
  }

  /** Writes a line of text above the table; the next `update` draws the table below it. */
  note(text: string): void {
    this.#screen.write(`${this.#erase()}${text}\n`);
    this.#height = 0; // L1
  }

  /** Leaves the table as it is; the next `update` begins a new one. */
  freeze(): void {
    this.#height = 0;
    this.#last.clear();
  }

  #redraw(rows: readonly LiveRow[]): void {
    // One column is left free: some terminals wrap when the last one is written.
    const width = (this.#screen.columns ?? DEFAULT_WIDTH) - 1;
    let lines = renderTable(rows, liveColumns(this.#colour), width).split("\n");
    // The cursor cannot move above the top of the screen, so a table higher than that could not be erased.
    const room = (this.#screen.rows ?? Infinity) - 1;
    if (lines.length > room) lines = lines.slice(0, Math.max(1, room));
    this.#screen.write(`${this.#erase()}${lines.join("\n")}\n`);
    this.#height = lines.length;
  }

  #erase(): string {
    return this.#height > 0 ? `\u001b[${this.#height}A\r\u001b[J` : "";
  }

  #writeChange(row: LiveRow): void {
    const facts = [
      row.state,
      row.doing ? clean(row.doing) : "",
      row.valBpb === undefined ? "" : `val_bpb ${formatBpb(row.valBpb)}`,
      row.bytes === undefined ? "" : `${formatBytes(row.bytes)} bytes`,
    ];
    const text = facts.filter(Boolean).join(" · ");
    if (this.#last.get(row.job) === text) return; // L2
    this.#last.set(row.job, text);
    this.#screen.write(`[${formatSeconds(row.seconds)}] ${row.job}: ${text}\n`);
  }
}
