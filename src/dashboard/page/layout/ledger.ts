import { type Leaderboard, type LeaderboardEntry, standingWord } from "../../../views/leaderboard.ts";

/** A row of the ledger, with the text that the filter looks at. */
export interface LedgerRow {
  readonly entry: LeaderboardEntry;
  readonly text: string;
  readonly mean: number;
}

export type LedgerOrder = "rank" | "mean" | "cost" | "newest";
export const LEDGER_ORDERS: readonly LedgerOrder[] = ["rank", "mean", "cost", "newest"];

export function toRows({ entries }: Pick<Leaderboard, "entries">): LedgerRow[] {
  return entries.map((entry) => {
    const { description, params = {}, verdict, job, gpu = "", source } = entry.view;
    const values = Object.entries(params).map(([name, value]) => `${name}=${value}`);
    const text = [description, entry.label, ...values, verdict ?? "", standingWord(entry), job, gpu, source].join(" ");
    return { entry, text: text.toLowerCase(), mean: Number(entry.view.mean) };
  });
}

/** Rows that have every word of the filter. */
export function filterRows(rows: readonly LedgerRow[], filter: string): readonly LedgerRow[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return words.length === 0 ? rows : rows.filter(({ text }) => words.every((word) => text.includes(word)));
}

export function orderRows(rows: readonly LedgerRow[], order: LedgerOrder): readonly LedgerRow[] {
  const by = (value: (row: LedgerRow) => number) => [...rows].sort((a, b) => compare(value(a), value(b)));
  switch (order) {
    case "rank":
      return rows; // as it was told
    case "mean":
      return by(({ mean }) => -mean);
    case "cost":
      return by(({ entry }) => -entry.view.usd);
    case "newest":
      return by(({ entry }) => -Date.parse(entry.view.createdAt));
  }
}

/** What is no number comes last. */
const compare = (a: number, b: number): number =>
  Number.isNaN(a) || Number.isNaN(b) ? Number(Number.isNaN(a)) - Number(Number.isNaN(b)) : a === b ? 0 : a - b;

/** Whether it has a rank: the numbers of others are claims, not final, or measured otherwise. */
export const isRanked = ({ entry }: LedgerRow): boolean => entry.view.rank !== undefined;

/** The ranked rows that no other beats in both cost and number, the cheapest first. */
export function bestForCost(rows: readonly LedgerRow[], direction: "min" | "max"): LedgerRow[] {
  const sign = direction === "max" ? -1 : 1;
  const sorted = rows
    .filter((row) => isRanked(row) && Number.isFinite(row.mean))
    .sort((a, b) => a.entry.view.usd - b.entry.view.usd || sign * (a.mean - b.mean));
  let best = Number.POSITIVE_INFINITY;
  return sorted.filter(({ mean }) => {
    if (sign * mean >= best) return false;
    best = sign * mean;
    return true;
  });
}
