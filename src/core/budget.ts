import type { Failure } from "../shared/error-code.ts";
import { formatUsd } from "../shared/usd.ts";
import { computeUsd, hourlyUsd, isCosting, runningUsd, usdOver } from "./cost.ts";
import { isHeld, type Job } from "./job.ts";
import type { JobTask } from "./job-task.ts";
import { runsOf } from "./nested-runs.ts";

/** What a session's jobs have cost so far, USD. */
export interface Spend {
  readonly usd: number;
  readonly modelUsd: number;
  readonly computeUsd: number;
}

/** A session's jobs that run or whose sandbox costs money, and what all others have cost. */
export interface Accounts {
  readonly open: readonly Job[];
  /** With what sandboxes have cost until now that are kept ready for the session. */
  readonly settled: Spend;
  /** What those cost at the moment, USD per hour; absent = nothing. */
  readonly warmPerHour?: number;
}

const NOTHING: Spend = { usd: 0, modelUsd: 0, computeUsd: 0 };

export interface BudgetLimits {
  /** Most that one orchestrator session may spend, USD; null = no ceiling. */
  readonly ceilingUsd: number | null;
  /** Share of the ceiling, 0 to 1, at which the user and the orchestrator are warned. */
  readonly warnAt: number;
  /** Time that stopping a job and parking its sandbox may take. */
  readonly rescueMs: number;
}

export function spendOf(jobs: readonly Job[], now: number): Spend {
  const modelUsd = jobs.reduce((sum, job) => sum + job.modelUsd, 0);
  const compute = jobs.reduce((sum, job) => sum + computeUsd(job.compute, now), 0);
  return { usd: modelUsd + compute, modelUsd, computeUsd: compute };
}

/** The job's reserve, USD: what parking its sandbox may still cost, so that a rescue stays under the ceiling. */
const reserveOf = (job: Job, { rescueMs }: BudgetLimits): number =>
  isHeld(job.state) || isCosting(job.compute) ? usdOver(hourlyUsd(job.compute), rescueMs) : 0;

const reservesOf = (jobs: readonly Job[], limits: BudgetLimits): number =>
  jobs.reduce((sum, job) => sum + reserveOf(job, limits), 0);

export type BudgetAdmission =
  | { readonly kind: "admit" }
  /** The reserves of running jobs stand in the way; what those jobs do not use will be free. */
  | { readonly kind: "wait"; readonly reason: string }
  | { readonly kind: "refuse"; readonly failure: Failure };

/**
 * Whether a job may start: spend, the reserves of all other jobs and its own reserve must stay under the ceiling.
 * @param jobs all of the session
 * @param job one that has no lease and no sandbox
 * @param usdPerHour cost of its future sandbox
 * @param accounts the same jobs, with the cost of those that cost nothing more summed up
 */
export function decideBudgetAdmission(
  job: Pick<Job, "id" | "task" | "modelUsd" | "compute" | "startedBy">,
  usdPerHour: number,
  jobs: readonly Job[],
  limits: BudgetLimits,
  now: number,
  { open, settled }: Accounts = { open: jobs, settled: NOTHING },
): BudgetAdmission {
  const own = usdOver(usdPerHour, limits.rescueMs);
  const { maxUsd } = job.task;
  const cost = job.modelUsd + computeUsd(job.compute, now);
  if (maxUsd !== null && cost + own >= maxUsd) {
    return refuse(
      `The task's ceiling is ${formatUsd(maxUsd)} (max_usd): ${formatUsd(cost)} is spent${describeReserve(own)}. Start a new task with a higher max_usd.`,
    );
  }
  const ofStarter = decideForStarter(job, own, jobs, limits, now);
  if (ofStarter.kind !== "admit") return ofStarter;
  const { ceilingUsd } = limits;
  if (ceilingUsd === null) return { kind: "admit" };
  const spent = settled.usd + spendOf(open, now).usd;
  if (spent + own >= ceilingUsd) {
    return refuse(
      `The session's budget is ${formatUsd(ceilingUsd)}: ${formatUsd(spent)} is spent${describeReserve(own)}. Raise budget.usdPerSession, then ${job.task.run ? "start it again" : "send the job a message"}.`,
    );
  }
  const reserves = reservesOf(
    open.filter(({ id }) => id !== job.id),
    limits,
  );
  if (spent + reserves + own < ceilingUsd) return { kind: "admit" };
  // The job that started a run may wait for it, and nobody would ever go on: only its other runs are waited for.
  if (job.startedBy !== null && !jobs.some((one) => one.startedBy === job.startedBy && isHeld(one.state)))
    return refuse(
      `The session's budget is ${formatUsd(ceilingUsd)}: ${formatUsd(spent)} is spent and ${formatUsd(reserves)} is in reserve for running jobs, so there is none for a run of ${job.startedBy}.`,
    );
  const reason = `waiting for budget (${formatUsd(spent)} spent and ${formatUsd(reserves)} in reserve for running jobs, of ${formatUsd(ceilingUsd)})`;
  return { kind: "wait", reason };
}

/** Whether the ceiling of the job that started a run has room for it; a job without one, and any other, is admitted. */
function decideForStarter(
  { id, startedBy }: Pick<Job, "id" | "startedBy">,
  own: number,
  jobs: readonly Job[],
  limits: BudgetLimits,
  now: number,
): BudgetAdmission {
  const starter = startedBy === null ? undefined : jobs.find((one) => one.id === startedBy);
  const maxUsd = starter?.task.maxUsd ?? null;
  if (!starter || maxUsd === null) return { kind: "admit" };
  const runs = runsOf(jobs, starter.id);
  const spent = spendOf([starter, ...runs], now).usd;
  const ofStarter = reserveOf(starter, limits);
  if (spent + ofStarter + own >= maxUsd)
    return refuse(
      `The ceiling of ${starter.id}, which started this run, is ${formatUsd(maxUsd)} (max_usd) with all its runs: ${formatUsd(spent)} is spent${describeReserve(ofStarter + own)}.`,
    );
  const others = reservesOf(
    runs.filter((run) => run.id !== id),
    limits,
  );
  if (spent + ofStarter + others + own < maxUsd) return { kind: "admit" };
  return {
    kind: "wait",
    reason: `waiting for other runs of ${starter.id}: its ceiling is ${formatUsd(maxUsd)} (max_usd), ${formatUsd(spent)} is spent`,
  };
}

export interface BudgetState {
  readonly spend: Spend;
  /** The share at which to warn is reached. */
  readonly isLow: boolean;
  /** Only the reserves are left. */
  readonly isOut: boolean;
  /** When the next of the two becomes true at the present cost per hour, epoch ms; null = never. */
  readonly nextAt: number | null;
}

/**
 * Whether a session is close to its ceiling or at it, and when to check again.
 * @param settled what jobs have cost that are not among `jobs`
 * @param warmPerHour what costs money besides them, USD per hour
 */
export function decideBudget(
  jobs: readonly Job[],
  limits: BudgetLimits,
  now: number,
  settled: Spend = NOTHING,
  warmPerHour = 0,
): BudgetState {
  const running = spendOf(jobs, now);
  const modelUsd = settled.modelUsd + running.modelUsd;
  const compute = settled.computeUsd + running.computeUsd;
  const spend = { usd: modelUsd + compute, modelUsd, computeUsd: compute };
  const { ceilingUsd, warnAt } = limits;
  if (ceilingUsd === null) return { spend, isLow: false, isOut: false, nextAt: null };
  const perHour = jobs.reduce((sum, { compute }) => sum + runningUsd(compute), warmPerHour);
  const untilLow = ceilingUsd * warnAt - spend.usd;
  const untilOut = ceilingUsd - spend.usd - reservesOf(jobs, limits);
  const next = Math.min(...[untilLow, untilOut].filter((left) => left > 0));
  return { spend, isLow: untilLow <= 0, isOut: untilOut <= 0, nextAt: momentWhenSpent(next, perHour, now) };
}

/**
 * Whether a job is at the ceiling of its task (`max_usd`), and when to check again. What its runs cost counts.
 * @param jobs all of the session
 */
export function decideJobBudget(
  job: Job,
  jobs: readonly Job[],
  limits: BudgetLimits,
  now: number,
): Pick<BudgetState, "isOut" | "nextAt"> {
  const { maxUsd } = job.task;
  if (maxUsd === null) return { isOut: false, nextAt: null };
  const all = [job, ...runsOf(jobs, job.id)];
  const left = maxUsd - spendOf(all, now).usd - reservesOf(all, limits);
  const perHour = all.reduce((sum, { compute }) => sum + runningUsd(compute), 0);
  return { isOut: left <= 0, nextAt: left > 0 ? momentWhenSpent(left, perHour, now) : null };
}

/** How a job fails when its session's budget is used up: all but the reserves of running jobs, which may be most of it. */
export const sessionBudgetFailure = (ceilingUsd: number, spentUsd: number, { run }: Pick<JobTask, "run">): Failure => ({
  code: "budget_exceeded",
  message: `The session's budget of ${formatUsd(ceilingUsd)} is used up: ${formatUsd(spentUsd)} is spent${spentUsd < ceilingUsd ? ", and the rest is in reserve to save the work of running jobs" : ""}. ${run ? "Raise budget.usdPerSession to start others." : "The job's files are kept: raise budget.usdPerSession and send the job a message to go on."}`,
  retryable: false,
});

/** How a job fails at the ceiling of its task. */
export const taskBudgetFailure = (maxUsd: number, { run }: Pick<JobTask, "run">): Failure => ({
  code: "budget_exceeded",
  message: `The task's ceiling of ${formatUsd(maxUsd)} (max_usd) is reached.${run ? "" : TO_GO_ON}`,
  retryable: false,
});

const TO_GO_ON =
  " The job's files are kept: to go on, freeze them with sandbox_snapshot and start a task from that snapshot.";

const describeReserve = (own: number): string =>
  own > 0 ? ` and ${formatUsd(own)} must stay in reserve to save the job's work` : "";

const refuse = (message: string): BudgetAdmission => ({
  kind: "refuse",
  failure: { code: "budget_exceeded", message, retryable: false },
});

/** When `left` USD are spent, epoch ms, rounded up so that they are spent by then; null = never. */
const momentWhenSpent = (left: number, perHour: number, now: number): number | null =>
  perHour > 0 && Number.isFinite(left) ? now + Math.ceil((left / perHour) * 3_600_000) : null;
