import type { Spend } from "../core/budget.ts";
import type { Job } from "../core/job.ts";
import type { FoldedRuns } from "../core/run-groups.ts";
import { countStates } from "../core/state-counts.ts";
import type { IdGenerator } from "../shared/ids.ts";
import type { JobView } from "../views/job-view.ts";
import { renderEnds } from "./ends.ts";
import { type ForkedFrom, renderForkedFrom } from "./fork.ts";
import { renderSpend, renderStates } from "./job-list.ts";
import { renderOverview } from "./job-overview.ts";
import { renderGroups } from "./run-groups.ts";

export interface WaitFacts {
  readonly reason: "satisfied" | "timeout" | "interrupted" | "attention";
  /** Whether the wait ended because the user wrote something. */
  readonly userWrote: boolean;
  /** Given when the wait ended because the session has spent most of its budget. */
  readonly lowBudget: Spend | null;
  readonly budgetUsd: number | null;
  /** Ended jobs whose results the session was not told before. */
  readonly news: readonly Job[];
  /** Ended jobs whose results it was told before; for a woken job, also those that ended too late for its former turn. */
  readonly toldBefore: readonly Job[];
  /** Whether the call names its jobs: then it asks for their results, told before or not. */
  readonly isNamed: boolean;
  /** Whether the call is that of a job that may have ended before: then nobody was told of runs that ended about then. */
  readonly isWoken: boolean;
  /** Jobs that have not ended: those with a line each, and runs that share one. */
  readonly pending: readonly JobView[];
  readonly pendingRuns: readonly FoldedRuns[];
  /** Older ones without a view: there are very many. */
  readonly pendingOthers: readonly Job[];
  readonly now: number;
  /** Given for a session without jobs that was forked from another one. */
  readonly forkedFrom: ForkedFrom | null;
}

/** What `agents_wait` answers. */
export function renderWait(facts: WaitFacts, ids: IdGenerator): string {
  const { userWrote, lowBudget, budgetUsd, news, toldBefore, isNamed, pending, pendingRuns, forkedFrom } = facts;
  const told = isNamed ? [...news, ...toldBefore] : news;
  const opening = [
    userWrote ? USER_WROTE : "",
    lowBudget ? renderLowBudget({ ...lowBudget, budgetUsd }) : userWrote ? "" : openingOf(facts),
  ];
  const lists = [
    ...(toldBefore.length > 0 && !isNamed ? [renderToldBefore(toldBefore, facts.isWoken)] : []),
    ...(pending.length + pendingRuns.length > 0 ? ["Not ended yet:"] : []),
    ...renderGroups(pendingRuns, facts.now),
    ...renderOverview(pending, PENDING_LIMIT),
    ...(facts.pendingOthers.length > 0
      ? [`${facts.pendingOthers.length} older jobs: ${renderStates(countStates(facts.pendingOthers))}.`]
      : []),
  ];
  if (told.length + toldBefore.length + pending.length + pendingRuns.length === 0)
    opening.push(forkedFrom ? `${NO_JOBS} ${renderForkedFrom(forkedFrom)}` : NO_JOBS);
  const results = renderEnds(told, ids, { beside: [...opening, ...lists] });
  return [...opening, results, ...lists].filter((part) => part !== "").join("\n");
}

/** Bytes. */
const PENDING_LIMIT = 8_000;

const NO_JOBS = "This session has started no jobs, so there is nothing to wait for. agents_start starts some.";

/** Their results are in the conversation already; `agents_wait` with their ids tells them once more. */
const renderToldBefore = (jobs: readonly Job[], isWoken: boolean): string => {
  const list =
    jobs.length > NAMED
      ? renderStates(countStates(jobs))
      : jobs.map(({ id, state }) => `${id} ${state.kind}`).join(", ");
  return isWoken
    ? `Ended before: ${list}. Call agents_wait with their ids for results that you were not told.`
    : `Ended and told before: ${list}.`;
};

/** Jobs that are named one by one. */
const NAMED = 12;

function openingOf({ reason, pending }: WaitFacts): string {
  const agents = pending.filter(({ kind, state }) => kind === "agent" && state === "interrupted");
  return reason === "attention" && agents.length === 0 ? RUNS_INTERRUPTED : OPENINGS[reason];
}

const RUNS_INTERRUPTED =
  "Some runs were interrupted and will not end by themselves: cancel them, and start them again if you still need them.";

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
