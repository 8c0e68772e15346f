import type { Spend } from "../core/budget.ts";
import type { IdGenerator } from "../shared/ids.ts";
import type { JobView, ToldJob } from "../views/job-view.ts";
import { type ForkedFrom, renderForkedFrom } from "./fork.ts";
import { renderCounts, renderSpend } from "./job-list.ts";
import { renderOverview } from "./job-overview.ts";
import { renderResults } from "./job-results.ts";

export interface WaitFacts {
  readonly reason: "satisfied" | "timeout" | "interrupted" | "attention";
  /** Whether the wait ended because the user wrote something. */
  readonly userWrote: boolean;
  /** Given when the wait ended because the session has spent most of its budget. */
  readonly lowBudget: Spend | null;
  readonly budgetUsd: number | null;
  /** Ended jobs whose results the session was not told before. */
  readonly news: readonly ToldJob[];
  /** Ended jobs whose results it was told before. */
  readonly toldBefore: readonly ToldJob[];
  /** Whether the call names its jobs: then it asks for their results, told before or not. */
  readonly isNamed: boolean;
  readonly pending: readonly JobView[];
  /** Given for a session without jobs that was forked from another one. */
  readonly forkedFrom: ForkedFrom | null;
}

/** What `agents_wait` answers. */
export function renderWait(facts: WaitFacts, ids: IdGenerator): string {
  const { reason, userWrote, lowBudget, budgetUsd, news, toldBefore, isNamed, pending, forkedFrom } = facts;
  const told = isNamed ? [...news, ...toldBefore] : news;
  const opening = [
    userWrote ? USER_WROTE : "",
    lowBudget ? renderLowBudget({ ...lowBudget, budgetUsd }) : userWrote ? "" : OPENINGS[reason],
  ];
  const lists = [
    ...(toldBefore.length > 0 && !isNamed ? [renderToldBefore(toldBefore)] : []),
    ...(pending.length > 0 ? ["Not ended yet:", ...renderOverview(pending, PENDING_LIMIT)] : []),
  ];
  if (told.length + toldBefore.length + pending.length === 0)
    opening.push(forkedFrom ? `${NO_JOBS} ${renderForkedFrom(forkedFrom)}` : NO_JOBS);
  const results = renderResults(told, ids, { beside: [...opening, ...lists] });
  return [...opening, results, ...lists].filter((part) => part !== "").join("\n");
}

/** Bytes. */
const PENDING_LIMIT = 8_000;

const NO_JOBS = "This session has started no jobs, so there is nothing to wait for. agents_start starts some.";

/** Their results are in the conversation already; `agents_wait` with their ids tells them once more. */
const renderToldBefore = (jobs: readonly JobView[]): string =>
  `Ended and told before: ${jobs.length > NAMED ? renderCounts(jobs) : jobs.map(({ id, state }) => `${id} ${state}`).join(", ")}.`;

/** Jobs that are named one by one. */
const NAMED = 12;

const OPENINGS: Readonly<Record<WaitFacts["reason"], string>> = {
  satisfied: "",
  timeout: "The wait timed out; the jobs go on. Call agents_wait again, or look with agents_status.",
  interrupted: "The wait was stopped; the jobs go on.",
  attention:
    "Some jobs were interrupted and will not end by themselves: wake them with agents_message, or cancel them.",
};

const USER_WROTE =
  "The wait ended because the user wrote a message: it follows. Answer it first. The jobs go on; call agents_wait again afterwards if you still need them.";

const renderLowBudget = (spend: Parameters<typeof renderSpend>[0]): string =>
  `${renderSpend(spend)} At the ceiling new jobs are refused and running ones stopped, their files kept: cancel what is not worth its cost, then call agents_wait again.`;
