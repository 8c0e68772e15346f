import type { Direction } from "../../core/run-task.ts";
import { formatUsd } from "../../shared/usd.ts";
import type { LabView } from "../../views/lab-view.ts";
import { counterOf, countsOf, dollars } from "../format.ts";
import { type Line, piece, row } from "../text.ts";
import { SHORT_KEYS } from "./keys.ts";
import type { Looks } from "./looks.ts";

/** What is above the list: how the jobs stand, what they cost, and how they are listed. */
export function headLine(
  view: LabView,
  looks: Looks,
  shown: { readonly metric: string | null; readonly direction: Direction | null; readonly jobs: number },
  columns: number,
): Line {
  const { usd, budgetUsd, usdPerHour } = view.spend;
  const budget = budgetUsd === null ? "" : ` of ${formatUsd(budgetUsd)}`;
  const spent = dollars(usd) === "" && budget === "" ? "" : `${dollars(usd) || "$0"}${budget}`;
  const gpus = Object.entries(view.pool.gpus)
    .filter(([type, { used }]) => used > 0 && type !== "total")
    .map(([type, { used, limit }]) => `${type} ${used}${limit === null ? "" : `/${limit}`}`);
  const facts = [spent, usdPerHour > 0 ? `${formatUsd(usdPerHour)}/h` : "", ...gpus].filter(Boolean).join(" · ");
  return row(
    columns,
    [
      { ...piece("Jobs "), bold: true },
      ...counterOf(countsOf(view)),
      ...(facts === "" ? [] : [piece(` · ${facts}`, "muted")]),
    ],
    [piece(howListed(looks, shown, view.jobs.length), "accent")],
  );
}

function howListed(
  { order, show, filter }: Looks,
  {
    metric,
    direction,
    jobs,
  }: { readonly metric: string | null; readonly direction: Direction | null; readonly jobs: number },
  all: number,
): string {
  const best = direction === "min" ? "smallest first" : "largest first";
  const orders = {
    urgency: "by urgency",
    tree: "tree",
    rank: metric === null ? "no metric yet" : `by ${metric.slice(0, 24)}, ${best}`,
  };
  const left = [orders[order], show === "all" ? "" : `${show} only`, filter === "" ? "" : `/${filter.slice(0, 20)}`];
  return [...left, jobs < all ? `${jobs} of ${all}` : ""].filter(Boolean).join(" · ");
}

/** As many of the keys as there is room for; whole ones. */
export function keysLine(columns: number): Line {
  let text = "";
  for (const one of SHORT_KEYS) {
    const longer = text === "" ? one : `${text} · ${one}`;
    if (longer.length > columns) break;
    text = longer;
  }
  return [piece(text, "muted")];
}

/** What is wrong with what is shown, in one sentence; "" = nothing. */
export function warningOf(view: LabView): string {
  const [first, ...others] = view.problems;
  if (first !== undefined) return others.length === 0 ? first : `${others.length + 1} problems: ${first}`;
  if (view.isLive) return "";
  const { queued, interrupted } = countsOf(view);
  return queued + interrupted > 0
    ? "No OpenCode works on these jobs: write in their session, and they go on."
    : "No OpenCode has this session in use: write in it before you ask for anything.";
}
