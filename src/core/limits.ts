import type { Environment } from "../config/environment.ts";
import { type GpuRequest, gpusOf } from "../config/gpu.ts";
import { type Prices, pricesOf, usdPerHour } from "../config/prices.ts";
import type { ProviderName } from "../config/provider-names.ts";
import type { Options } from "../config/schema.ts";
import type { BudgetLimits } from "./budget.ts";
import type { DeadlineLimits } from "./deadline.ts";
import type { Job } from "./job.ts";

/** The options' limits and prices, as they apply to a job. */
export interface Limits {
  readonly budget: BudgetLimits;
  deadlines(job: Job): DeadlineLimits;
  /** Lifetime to request for the job's sandbox, milliseconds. */
  sandboxMs(job: Job): number;
  /** When the provider ends a sandbox requested at `madeAt`, epoch ms; null = never. */
  sandboxUntil(job: Job, madeAt: number): number | null;
  /** Cost of the job's sandbox with this GPU, USD per hour. */
  rate(job: Pick<Job, "task" | "provider">, gpu: GpuRequest | null): number;
  /** Cost with the most expensive GPU it may be granted, USD per hour. */
  highestRate(job: Pick<Job, "task" | "provider">): number;
}

const MINUTE_MS = 60_000;
/** @source Modal: a sandbox lives for at most 24 hours */
const LONGEST_LIFETIME_MS = 24 * 60 * MINUTE_MS;
/** Allowance for the time between a sandbox's creation and its job's start, and around a rescue. */
const SLACK_MS = 15 * MINUTE_MS;

export function createLimits(options: Options): Limits {
  const { rescueMinutes, checkpointMinutes, stallTimeoutMinutes, jobTimeoutMinutes, budget } = options;
  const rescueMs = rescueMinutes * MINUTE_MS;
  const prices = new Map<ProviderName, Prices>();
  const environmentOf = ({ task }: Pick<Job, "task">): Environment | undefined =>
    options.environments[task.environment];
  const jobMs = ({ task }: Job) => (task.timeoutMinutes ?? jobTimeoutMinutes) * MINUTE_MS;
  const ownMs = (job: Job) => {
    const minutes = environmentOf(job)?.sandboxTimeoutMinutes ?? null;
    return minutes === null ? null : minutes * MINUTE_MS;
  };
  const sandboxMs = (job: Job) => {
    const wanted = ownMs(job) ?? jobMs(job) + rescueMs + options.parkAfterSeconds * 1000 + SLACK_MS;
    return Math.min(wanted, LONGEST_LIFETIME_MS);
  };
  const rate: Limits["rate"] = (job, gpu) => {
    const table = prices.get(job.provider) ?? pricesOf(job.provider, options.prices);
    prices.set(job.provider, table);
    const { cpu = null, memoryMiB = null } = environmentOf(job) ?? {};
    return usdPerHour({ gpu, cpu, memoryMiB }, table);
  };
  return {
    budget: { ceilingUsd: budget.usdPerSession, warnAt: budget.warnAt, rescueMs },
    deadlines: (job) => ({
      jobMs: jobMs(job),
      stallMs: stallTimeoutMinutes * MINUTE_MS,
      checkpointMs: checkpointMinutes === null ? null : checkpointMinutes * MINUTE_MS,
      rescueMs,
    }),
    sandboxMs,
    // A local provider ends no sandbox by itself: the environment's lifetime is kept only by the rescue of its job.
    sandboxUntil: (job, madeAt) => (job.provider === "local" && ownMs(job) === null ? null : madeAt + sandboxMs(job)),
    rate,
    highestRate(job) {
      const gpus = gpusOf(job.task.gpu);
      return Math.max(...(gpus.length === 0 ? [null] : gpus).map((gpu) => rate(job, gpu)));
    },
  };
}
