import { type BudgetAdmission, decideBudgetAdmission } from "../../core/budget.ts";
import type { Job } from "../../core/job.ts";
import type { Limits } from "../../core/limits.ts";
import type { Clock } from "../../shared/clock.ts";
import type { SessionJobs } from "../session/session-jobs.ts";

/** Whether the money of queued jobs' sessions lets them start, at one moment. */
export interface StartBudget {
  decide(sessionJobs: SessionJobs, job: Job): BudgetAdmission;
}

/** Thousands of runs of a sweep are alike in all that the decision depends on: it is made once for those in a row. */
export function createStartBudget(
  limits: Pick<Limits, "budget" | "highestRate">,
  clock: Pick<Clock, "now">,
): StartBudget {
  /** The last decision about a job that has cost nothing yet. */
  let last: { readonly sessionJobs: SessionJobs; readonly job: Job; readonly decision: BudgetAdmission } | null = null;
  return {
    decide(sessionJobs, job) {
      if (last?.sessionJobs === sessionJobs && isNew(job) && isAlike(last.job, job)) return last.decision;
      const [rate, accounts] = [limits.highestRate(job), sessionJobs.accounts()];
      const decision = decideBudgetAdmission(job, rate, sessionJobs.all(), limits.budget, clock.now(), accounts);
      if (isNew(job)) last = { sessionJobs, job, decision };
      return decision;
    },
  };
}

const isAlike = (a: Job, b: Job): boolean =>
  a.provider === b.provider &&
  a.task.environment === b.task.environment &&
  a.task.gpu === b.task.gpu &&
  a.task.maxUsd === b.task.maxUsd &&
  (a.task.run === null) === (b.task.run === null);

/** It has cost nothing, and counts towards no other job. */
const isNew = ({ startedBy, modelUsd, compute }: Job): boolean =>
  startedBy === null && modelUsd === 0 && compute.usd === 0 && compute.since === null;
