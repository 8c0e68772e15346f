import type { Entry, Listing } from "./entry.ts";
import { nextShown } from "./filter.ts";
import type { Action } from "./keys.ts";
import { nextMetric } from "./ranking.ts";
import { QUEUE_KEY } from "./urgency.ts";
import { moved } from "./window.ts";

/** What a person has set in the full view. It is kept while the view is left for a job's conversation. */
export interface Looks extends Omit<Listing, "direction" | "asking"> {
  /** Key of the chosen entry; null = the first. */
  readonly chosen: string | null;
  readonly isTyping: boolean;
  readonly isHelp: boolean;
  /** Rows of the detail above its first one on the screen. */
  readonly detailFirst: number;
}

export const FIRST_LOOKS: Looks = {
  order: "urgency",
  metric: null,
  show: "all",
  filter: "",
  isQueueOpen: false,
  folded: new Set(),
  chosen: null,
  isTyping: false,
  isHelp: false,
  detailFirst: 0,
};

/** What is on the screen when a key is pressed. */
export interface Seen {
  readonly entries: readonly Entry[];
  /** Index of the chosen entry; -1 = none. */
  readonly at: number;
  /** Rows of the list. */
  readonly rows: number;
  readonly metrics: readonly string[];
  readonly detail: { readonly lines: number; readonly rows: number };
}

/** How the view looks after a key; the very same where the key does something else. */
export function looksAfter(looks: Looks, action: Action, seen: Seen): Looks {
  const { entries, at, rows } = seen;
  const to = (by: number): Looks => choose(looks, entries[moved(entries, at, by)]?.key ?? looks.chosen);
  const entry = entries[at];
  switch (action) {
    case "up":
      return to(-1);
    case "down":
      return to(1);
    case "page-up":
      return to(-Math.max(1, rows - 1));
    case "page-down":
      return to(Math.max(1, rows - 1));
    case "first":
      return to(-entries.length);
    case "last":
      return to(entries.length);
    case "open":
      return entry?.kind === "fold" ? { ...looks, isQueueOpen: !looks.isQueueOpen } : looks;
    case "tree":
      return { ...looks, order: looks.order === "tree" ? "urgency" : "tree" };
    case "rank":
      return { ...looks, order: looks.order === "rank" ? "urgency" : "rank" };
    case "left":
      return sideways(looks, seen, -1);
    case "right":
      return sideways(looks, seen, 1);
    case "filter":
      return { ...looks, isTyping: true };
    case "show":
      return { ...looks, show: nextShown(looks.show) };
    case "detail-up":
      return scrolled(looks, seen, -1);
    case "detail-down":
      return scrolled(looks, seen, 1);
    case "help":
      return { ...looks, isHelp: !looks.isHelp };
    default:
      return looks;
  }
}

export const choose = (looks: Looks, chosen: string | null): Looks =>
  chosen === looks.chosen ? looks : { ...looks, chosen, detailFirst: 0 };

/** What it looks like when it is opened again: nothing that would hide jobs stays from the last time. */
export const looksAgain = (looks: Looks): Looks => ({
  ...looks,
  show: "all",
  filter: "",
  isTyping: false,
  isHelp: false,
});

/** The metric that jobs are ranked by: the chosen one while there is such a metric. */
export const metricOf = ({ metric }: Pick<Looks, "metric">, metrics: readonly string[]): string | null =>
  metric !== null && metrics.includes(metric) ? metric : (metrics[0] ?? null);

function sideways(looks: Looks, { entries, at, metrics }: Seen, by: 1 | -1): Looks {
  if (looks.order === "rank") return { ...looks, metric: nextMetric(metrics, metricOf(looks, metrics), by) };
  const entry = entries[at];
  if (entry?.key === QUEUE_KEY) return { ...looks, isQueueOpen: by > 0 };
  if (looks.order !== "tree" || entry?.kind !== "job" || entry.below === null) return looks;
  const folded = new Set(looks.folded);
  if (by < 0) folded.add(entry.key);
  else folded.delete(entry.key);
  return { ...looks, folded };
}

/** Half a page at a time. */
function scrolled(looks: Looks, { detail: { lines, rows } }: Seen, by: 1 | -1): Looks {
  const most = Math.max(0, lines - rows);
  const step = Math.max(1, Math.floor(rows / 2));
  return { ...looks, detailFirst: Math.max(0, Math.min(most, Math.min(most, looks.detailFirst) + by * step)) };
}
