import type { Failure } from "../../shared/error-code.ts";
import { computeUsd, usdOver } from "./cost.ts";
import { isHeld, type Job } from "./job.ts";

/** USD that a session's jobs have cost. */
export interface Spend {
  readonly usd: number;
  readonly modelUsd: number;
  readonly computeUsd: number;
}

export interface BudgetLimits {
  /** Of one orchestrator session; null = none. */
  readonly ceilingUsd: number | null;
  /** Share of the ceiling at which people are warned. */
  readonly warnAt: number;
  /** So long the rescue of a job may take. */
  readonly rescueMs: number;
}

export function spendOf(jobs: readonly Job[], now: number): Spend {
  const modelUsd = jobs.reduce((sum, job) => sum + job.modelUsd, 0);
  const compute = jobs.reduce((sum, job) => sum + computeUsd(job.compute, now), 0);
  return { usd: modelUsd + compute, modelUsd, computeUsd: compute };
}

/** What freezing and ending a job's sandbox may still cost: kept free, so that stopping it does not pass the ceiling. */
const reserveOf = (job: Job, { rescueMs }: BudgetLimits): number =>
  isHeld(job.state) || job.compute.since !== null ? usdOver(job.compute.usdPerHour, rescueMs) : 0;

const reservesOf = (jobs: readonly Job[], limits: BudgetLimits): number =>
  jobs.reduce((sum, job) => sum + reserveOf(job, limits), 0);

export type BudgetAdmission =
  | { readonly kind: "admit" }
  /** Running jobs hold in reserve what it needs; what they do not use is its. */
  | { readonly kind: "wait"; readonly reason: string }
  | { readonly kind: "refuse"; readonly failure: Failure };

/**
 * Whether a job may start: what was spent, all reserves and its own stay under the ceiling.
 * @param job one that holds nothing
 * @param usdPerHour what its sandbox would cost
 */
export function decideBudgetAdmission(
  job: Pick<Job, "id" | "task" | "modelUsd" | "compute">,
  usdPerHour: number,
  jobs: readonly Job[],
  limits: BudgetLimits,
  now: number,
): BudgetAdmission {
  const own = usdOver(usdPerHour, limits.rescueMs);
  const { maxUsd } = job.task;
  const cost = job.modelUsd + computeUsd(job.compute, now);
  if (maxUsd !== null && cost + own >= maxUsd) {
    return refuse(`It may cost ${usd(maxUsd)} (max_usd), ${usd(cost)} is spent${reserve(own)}. Start a new task.`);
  }
  const { ceilingUsd } = limits;
  if (ceilingUsd === null) return { kind: "admit" };
  const spent = spendOf(jobs, now).usd;
  if (spent + own >= ceilingUsd) {
    return refuse(
      `This session may spend ${usd(ceilingUsd)}, ${usd(spent)} is spent${reserve(own)}. Raise budget.usdPerSession, then send the job a message.`,
    );
  }
  const reserves = reservesOf(
    jobs.filter(({ id }) => id !== job.id),
    limits,
  );
  if (spent + reserves + own < ceilingUsd) return { kind: "admit" };
  const reason = `waiting for budget (${usd(spent)} spent and ${usd(reserves)} in reserve for running jobs, of ${usd(ceilingUsd)})`;
  return { kind: "wait", reason };
}

export interface BudgetState {
  readonly spend: Spend;
  /** The session has reached the share at which people are warned. */
  readonly isLow: boolean;
  /** Nothing is left but the reserves. */
  readonly isOut: boolean;
  /** When one of the two comes true at the present rate; null when it does not. */
  readonly nextAt: number | null;
}

/** How a session stands, and when to look again. */
export function decideBudget(jobs: readonly Job[], limits: BudgetLimits, now: number): BudgetState {
  const spend = spendOf(jobs, now);
  const { ceilingUsd, warnAt } = limits;
  if (ceilingUsd === null) return { spend, isLow: false, isOut: false, nextAt: null };
  const perHour = jobs.reduce((sum, { compute }) => sum + (compute.since === null ? 0 : compute.usdPerHour), 0);
  const untilLow = ceilingUsd * warnAt - spend.usd;
  const untilOut = ceilingUsd - spend.usd - reservesOf(jobs, limits);
  const next = Math.min(...[untilLow, untilOut].filter((left) => left > 0));
  return { spend, isLow: untilLow <= 0, isOut: untilOut <= 0, nextAt: momentOf(next, perHour, now) };
}

/** The same of a task's own ceiling. */
export function decideJobBudget(job: Job, limits: BudgetLimits, now: number): Pick<BudgetState, "isOut" | "nextAt"> {
  const { maxUsd } = job.task;
  if (maxUsd === null) return { isOut: false, nextAt: null };
  const left = maxUsd - spendOf([job], now).usd - reserveOf(job, limits);
  const perHour = job.compute.since === null ? 0 : job.compute.usdPerHour;
  return { isOut: left <= 0, nextAt: left > 0 ? momentOf(left, perHour, now) : null };
}

export const overSession = (ceilingUsd: number): Failure => ({
  code: "budget_exceeded",
  message: `The session's budget of ${usd(ceilingUsd)} is used up. Its files are kept: raise budget.usdPerSession and send it a message to go on.`,
  retryable: false,
});

export const overTask = (maxUsd: number): Failure => ({
  code: "budget_exceeded",
  message: `Its ceiling of ${usd(maxUsd)} (max_usd) is reached. Its files are kept: freeze them with sandbox_snapshot and start a task from there to go on.`,
  retryable: false,
});

/** "$0.0042", "$12.30". */
export const usd = (amount: number): string => `$${amount.toFixed(Math.abs(amount) < 1 ? 4 : 2)}`;

const reserve = (own: number): string => (own > 0 ? ` and ${usd(own)} must be kept to save its work` : "");

const refuse = (message: string): BudgetAdmission => ({
  kind: "refuse",
  failure: { code: "budget_exceeded", message, retryable: false },
});

/** Rounded up: at that moment it has come true. */
const momentOf = (left: number, perHour: number, now: number): number | null =>
  perHour > 0 && Number.isFinite(left) ? now + Math.ceil((left / perHour) * 3_600_000) : null;
