// Shows running jobs: on a terminal one table redrawn in place, elsewhere (a log, a pipe) a line per change.
import { formatBpb, formatSeconds, type LiveRow, liveColumns, renderTable } from "./leaderboard.ts";
import { clean } from "./text-table.ts";

/** The part of `process.stdout` that this file uses. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

const DEFAULT_WIDTH = 100;

/**
 * L1  On a terminal, the last `#height` lines above the cursor are the table, and nothing else.
 * L2  Elsewhere a row's line is written only when something other than its time has changed.
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

  /** Shows `rows` in place of the previous rows. */
  update(rows: readonly LiveRow[]): void {
    if (this.#screen.isTTY) this.#redraw(rows);
    else for (const row of rows) this.#writeChange(row);
  }

  /** Leaves the table on the screen; the next `update` draws a new one below it. */
  freeze(): void {
    this.#height = 0;
    this.#last.clear();
  }

  #redraw(rows: readonly LiveRow[]): void {
    // Some terminals wrap when the last column is written.
    const width = (this.#screen.columns ?? DEFAULT_WIDTH) - 1;
    let lines = renderTable(rows, liveColumns(this.#colour), width).split("\n");
    // The cursor cannot move above the top of the screen, so a taller table could not be erased.
    const capacity = (this.#screen.rows ?? Infinity) - 1;
    if (lines.length > capacity) lines = lines.slice(0, Math.max(1, capacity));
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
      row.bpb === undefined ? "" : `bpb ${formatBpb(row.bpb)}`,
    ];
    const text = facts.filter(Boolean).join(" · ");
    if (this.#last.get(row.job) === text) return; // L2
    this.#last.set(row.job, text);
    this.#screen.write(`[${formatSeconds(row.seconds)}] ${row.job}: ${text}\n`);
  }
}
