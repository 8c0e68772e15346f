import type { Clock } from "../shared/clock.ts";
import { oneLine } from "../shared/plain-text.ts";

/** Says on a terminal what takes long. */
export interface Progress {
  /** Says what is being done until the function that is returned is called. */
  begin(doing: string): () => void;
}

/** What of standard error is used. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Nothing is said of what is done sooner. */
const SAID_AFTER_MS = 1_000;
const EVERY_MS = 1_000;
const CLEAR_LINE = "\r\x1b[2K";

/**
 * A line on standard error, redrawn each second and taken away at the end, so that it is in nobody's file or pipe.
 * @param isQuiet whether nothing is to be said, as for programs
 */
export function createProgress(terminal: Terminal, clock: Clock, isQuiet: boolean): Progress {
  if (isQuiet || terminal.isTTY !== true) return { begin: () => () => {} };
  const underway = new Map<symbol, { readonly doing: string; readonly since: number }>();
  let stopTimer: (() => void) | null = null;
  let isShown = false;

  function draw(): void {
    const now = clock.now();
    const [first] = underway.values();
    if (first === undefined) return;
    const more = underway.size > 1 ? ` and ${underway.size - 1} more` : "";
    const text = `${first.doing}${more} … ${Math.round((now - first.since) / 1000)} s`;
    terminal.write(`${CLEAR_LINE}${oneLine(text, Math.max(20, (terminal.columns || 80) - 1))}`);
    isShown = true;
    stopTimer = clock.after(EVERY_MS, draw);
  }

  return {
    begin(doing) {
      const key = Symbol(doing);
      underway.set(key, { doing, since: clock.now() });
      stopTimer ??= clock.after(SAID_AFTER_MS, draw);
      return () => {
        if (!underway.delete(key) || underway.size > 0) return;
        stopTimer?.();
        stopTimer = null;
        if (isShown) terminal.write(CLEAR_LINE);
        isShown = false;
      };
    },
  };
}

/** Says what is being done while it is done. */
export async function during<T>(progress: Progress, doing: string, work: () => Promise<T>): Promise<T> {
  const end = progress.begin(doing);
  try {
    return await work();
  } finally {
    end();
  }
}
