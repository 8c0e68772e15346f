import type { Environment } from "../config/environment.ts";
import { type GpuRequest, gpusOf } from "../config/gpu.ts";
import { type Prices, type RateRange, ratesOf } from "../config/prices.ts";
import type { ProviderName } from "../config/provider-names.ts";
import { type Resources, resourcesOf } from "../config/resources.ts";
import type { Options } from "../config/schema.ts";
import type { SandboxUsage } from "../sandboxes/port.ts";
import type { BudgetLimits } from "./budget.ts";
import type { DeadlineLimits } from "./deadline.ts";
import { type GpuWaitLimits, toGpuWaitLimits } from "./gpu-wait.ts";
import type { Job } from "./job.ts";
import { meteredUsd } from "./metered-cost.ts";
import { reuseKey } from "./sandbox-reuse.ts";
import { WARM_AGE_MS } from "./warm.ts";

/** Of an environment that is no longer configured. */
const NO_WISHES = { cpu: null, cpuLimit: null, memoryMiB: null, memoryLimitMiB: null };

/** The options' limits and prices, as they apply to a job. */
export interface Limits {
  readonly budget: BudgetLimits;
  deadlines(job: Job): DeadlineLimits;
  /** How long the job may wait for a GPU at its provider. */
  readonly gpuWait: GpuWaitLimits;
  /** Longest time between the request for a sandbox and the moment its job names it, milliseconds. */
  readonly creationMs: number;
  /** Lifetime to request for the job's sandbox, milliseconds. */
  sandboxMs(job: Job): number;
  /** When the provider ends a sandbox requested at `madeAt`, epoch ms; null = never. */
  sandboxUntil(job: Job, madeAt: number): number | null;
  /** Lifetime to request for a sandbox that is kept ready for a job like this one, milliseconds. */
  warmMs(job: Job): number;
  /** Least and most that the job's sandbox costs with this GPU. */
  rates(job: Pick<Job, "task" | "provider">, gpu: GpuRequest | null): RateRange;
  /** Most that it may cost with the most expensive GPU that it may be granted, USD per hour. */
  highestRate(job: Pick<Job, "task" | "provider">): number;
  /** What the job's sandbox has cost by its meter, USD; null = the meter does not say. @param ms how long it has existed */
  meteredUsd(job: Pick<Job, "task" | "provider" | "gpu">, usage: SandboxUsage, ms: number): number | null;
}

const MINUTE_MS = 60_000;
/** @source Modal: a sandbox lives for at most 24 hours */
const LONGEST_LIFETIME_MS = 24 * 60 * MINUTE_MS;
/** Allowance for the time between a sandbox's creation and its job's start, and around a rescue. */
const SLACK_MS = 15 * MINUTE_MS;

/** Longest boot of a sandbox with a GPU. */
const GPU_BOOT_MS = 5 * MINUTE_MS;

/** @param pricesOf the prices known at the moment */
export function createLimits(options: Options, pricesOf: (provider: ProviderName) => Prices): Limits {
  const { rescueMinutes, checkpointMinutes, stallTimeoutMinutes, jobTimeoutMinutes, budget } = options;
  const rescueMs = rescueMinutes * MINUTE_MS;
  const environmentOf = ({ task }: Pick<Job, "task">): Environment | undefined =>
    options.environments[task.environment];
  const jobMs = ({ task }: Job) => (task.timeoutMinutes ?? jobTimeoutMinutes) * MINUTE_MS;
  const ownMs = (job: Job) => {
    const minutes = environmentOf(job)?.sandboxTimeoutMinutes ?? null;
    return minutes === null ? null : minutes * MINUTE_MS;
  };
  const gpuWait = toGpuWaitLimits(options.modal.gpuWaitMinutes);
  const sandboxMs = (job: Job) => {
    // The lifetime may begin with the request, so the wait for a GPU comes on top.
    const waitMs = job.task.gpu === null || job.provider === "local" ? 0 : gpuWait.totalMs;
    // Others may follow it in its sandbox, whose idle time is limited too.
    if (reuseKey(job) !== null && ownMs(job) === null) return LONGEST_LIFETIME_MS;
    const wanted = ownMs(job) ?? jobMs(job) + rescueMs + options.parkAfterSeconds * 1000 + SLACK_MS + waitMs;
    return Math.min(wanted, LONGEST_LIFETIME_MS);
  };
  const resources = (job: Pick<Job, "task" | "provider">, gpu: GpuRequest | null): Resources => {
    const all = resourcesOf(environmentOf(job) ?? NO_WISHES, gpu);
    // What a local sandbox uses is not billed, so a price for it is a price of its requests.
    return job.provider === "local" ? { ...all, cpuLimit: all.cpu, memoryLimitMiB: all.memoryMiB } : all;
  };
  const rates: Limits["rates"] = (job, gpu) => {
    const prices = pricesOf(job.provider);
    // This machine's GPUs cost nothing, unless the user says what one does.
    const isFree = job.provider === "local" && prices.gpus[gpu?.type ?? ""] === undefined;
    return ratesOf(resources(job, gpu), isFree ? null : gpu, prices);
  };
  return {
    budget: { ceilingUsd: budget.usdPerSession, warnAt: budget.warnAt, rescueMs },
    deadlines: (job) => ({
      jobMs: jobMs(job),
      stallMs: stallTimeoutMinutes * MINUTE_MS,
      checkpointMs: checkpointMinutes === null ? null : checkpointMinutes * MINUTE_MS,
      rescueMs,
    }),
    gpuWait,
    creationMs: gpuWait.totalMs + Math.max(GPU_BOOT_MS, options.modal.createTimeoutSeconds * 1000) + SLACK_MS,
    sandboxMs,
    // A local provider ends no sandbox by itself: the environment's lifetime is kept only by the rescue of its job.
    sandboxUntil: (job, madeAt) => (job.provider === "local" && ownMs(job) === null ? null : madeAt + sandboxMs(job)),
    // A lifetime that the user has set holds for all sandboxes of the environment.
    warmMs: (job) => Math.min(sandboxMs(job) + (ownMs(job) === null ? WARM_AGE_MS : 0), LONGEST_LIFETIME_MS),
    rates,
    highestRate(job) {
      const gpus = gpusOf(job.task.gpu);
      return Math.max(...(gpus.length === 0 ? [null] : gpus).map((gpu) => rates(job, gpu).most));
    },
    meteredUsd(job, usage, ms) {
      const gpu = gpusOf(job.gpu)[0] ?? null;
      return meteredUsd(usage, { resources: resources(job, gpu), gpu, prices: pricesOf(job.provider), ms });
    },
  };
}
