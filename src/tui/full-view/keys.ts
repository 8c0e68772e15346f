/** What a person can do in the full view. */
export type Action =
  | "up"
  | "down"
  | "page-up"
  | "page-down"
  | "first"
  | "last"
  | "open"
  | "message"
  | "cancel"
  | "snapshot"
  | "collect"
  | "collect-as"
  | "tree"
  | "rank"
  | "left"
  | "right"
  | "filter"
  | "show"
  | "detail-up"
  | "detail-down"
  | "help"
  | "leave";

export interface KeyOf {
  /** As the host's key map spells it; commas separate alternatives. */
  readonly key: string;
  readonly action: Action;
  /** As it is written on the screen; "" where another key's line says it too. */
  readonly shown: string;
  readonly does: string;
}

export const KEYS: readonly KeyOf[] = [
  { key: "up,k", action: "up", shown: "↑ ↓ k j", does: "the job above or below" },
  { key: "down,j", action: "down", shown: "", does: "the job below" },
  { key: "pageup", action: "page-up", shown: "page up", does: "a page up; page down: a page down" },
  { key: "pagedown", action: "page-down", shown: "", does: "a page down" },
  { key: "home", action: "first", shown: "home end", does: "the first or the last job" },
  { key: "end", action: "last", shown: "", does: "the last job" },
  { key: "return", action: "open", shown: "enter", does: "open the job's conversation, or list queued jobs" },
  { key: "m", action: "message", shown: "m", does: "send the job a message" },
  { key: "c", action: "cancel", shown: "c", does: "cancel the job, after a question" },
  { key: "s", action: "snapshot", shown: "s", does: "keep a snapshot of the job's files" },
  { key: "o", action: "collect", shown: "o", does: "collect the job's changes as a branch" },
  { key: "shift+o", action: "collect-as", shown: "O", does: "collect them as a branch, a patch or files" },
  { key: "t", action: "tree", shown: "t", does: "the tree: what was made from what, with sums" },
  { key: "r", action: "rank", shown: "r", does: "the jobs by a metric" },
  { key: "left", action: "left", shown: "← →", does: "the metric, or fold and unfold a branch" },
  { key: "right", action: "right", shown: "", does: "the next metric, or unfold a branch" },
  { key: "/", action: "filter", shown: "/", does: "filter by words; enter keeps it, escape ends it" },
  { key: "f", action: "show", shown: "f", does: "running and failed jobs only, then either, then all" },
  { key: "[", action: "detail-up", shown: "[ ]", does: "the detail up or down" },
  { key: "]", action: "detail-down", shown: "", does: "the detail down" },
  { key: "?", action: "help", shown: "?", does: "these keys" },
  { key: "escape,q,ctrl+c,f6", action: "leave", shown: "esc q", does: "leave (also ctrl+c)" },
];

/** The line of keys below everything, as long as the screen is wide. */
export const SHORT_KEYS: readonly string[] = [
  "? keys",
  "esc leave",
  "enter open",
  "m message",
  "c cancel",
  "o collect",
  "s snapshot",
  "t tree",
  "r rank",
  "/ filter",
  "f running/failed",
];
