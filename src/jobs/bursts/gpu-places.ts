import { formatGpu, type GpuRequest } from "../../config/gpu.ts";
import { type AdmissionLimits, describeWait, type LeaseUse } from "../../core/admission.ts";
import { decideBudgetAdmission } from "../../core/budget.ts";
import { burstHolder } from "../../core/burst.ts";
import { chooseForCommand, isWaitedFor } from "../../core/command-gpus.ts";
import { hourlyUsd } from "../../core/cost.ts";
import { describeGpuWait, isWaitOver } from "../../core/gpu-wait.ts";
import type { Job } from "../../core/job.ts";
import type { Limits } from "../../core/limits.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Leases } from "../queue/leases.ts";
import type { WarmPool } from "../sandbox/warm/warm-pool.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { Lease, LeaseStore, PoolState } from "../store/lease-store.ts";

/** A lease of GPUs for the commands of one job. */
export interface GpuPlace extends Lease {
  readonly gpu: GpuRequest;
}

export interface GpuPlacesDeps {
  readonly pool: Pick<LeaseStore, "poolState" | "enqueue" | "leaveQueue">;
  readonly leases: Pick<Leases, "acquire" | "release" | "on">;
  readonly admissionLimits: AdmissionLimits;
  readonly limits: Pick<Limits, "budget" | "gpuWait" | "rates">;
  readonly warm: Pick<WarmPool, "makeWay">;
  readonly owner: string;
  readonly clock: Clock;
}

export interface PlaceWait {
  /** Since when the command waits, epoch ms. */
  readonly since: number;
  readonly signal: AbortSignal;
  /** Told why it waits, whenever that is decided anew. */
  readonly onWait: (reason: string) => void;
}

/** Other processes do not announce what they release. */
const POLL_MS = 1_000;

/** GPUs for single commands, from the pool that jobs take theirs from: in the same queue, under the same limits and budget. */
export function createGpuPlaces(deps: GpuPlacesDeps) {
  const { pool, leases, admissionLimits, limits, warm, owner, clock } = deps;

  /** What the budget says of these GPUs beside what the job has. @returns why it waits, null = it may have them @throws PluginError */
  function waitsForBudget(sessionJobs: SessionJobs, job: Job, gpus: readonly GpuRequest[]): string | null {
    const most = Math.max(...gpus.map((gpu) => limits.rates(job, gpu).most));
    const rate = hourlyUsd(job.compute) + most;
    const [jobs, accounts] = [sessionJobs.all(), sessionJobs.accounts()];
    const decision = decideBudgetAdmission(job, rate, jobs, limits.budget, clock.now(), accounts);
    if (decision.kind === "refuse") {
      const { code, message, retryable } = decision.failure;
      throw new PluginError(code, message, { retryable });
    }
    return decision.kind === "wait" ? decision.reason : null;
  }

  function tryNow(job: Job, gpus: readonly GpuRequest[]): GpuPlace | null {
    const holder = burstHolder(job.id);
    const decide = (state: PoolState): LeaseUse | null => {
      const choice = chooseForCommand(holder, gpus, state, admissionLimits, clock.now());
      return choice && { slots: 0, ...choice };
    };
    // Deciding by what was read spares the write lock.
    if (!decide(pool.poolState(clock.now()))) {
      warm.makeWay((without) => decide(without) !== null); // what they end is heard of
      return null;
    }
    const lease = leases.acquire({ id: holder, orchestrator: job.orchestrator }, decide);
    return lease?.gpu ? { ...lease, gpu: lease.gpu } : null;
  }

  function describe(job: Job, gpus: readonly GpuRequest[]): string {
    const { leases: all, queue } = pool.poolState(clock.now());
    let ahead = 0;
    for (const entry of queue) {
      if (entry.jobID === burstHolder(job.id)) break;
      if (entry.gpus.length > 0) ahead++;
    }
    return describeWait(gpus, all, ahead, { ...admissionLimits, maxRunningJobs: Number.POSITIVE_INFINITY });
  }

  return {
    /** Waits for one of these GPUs, in order of preference. @throws PluginError `no_capacity`, `budget_exceeded`, `cancelled` */
    async take(
      sessionJobs: SessionJobs,
      jobID: string,
      gpus: readonly GpuRequest[],
      { since, signal, onWait }: PlaceWait,
    ): Promise<GpuPlace> {
      const holder = burstHolder(jobID);
      try {
        for (;;) {
          if (signal.aborted) throw cancelled();
          const job = sessionJobs.get(jobID);
          if (!job) throw cancelled();
          const budget = waitsForBudget(sessionJobs, job, gpus);
          const place = budget === null ? tryNow(job, gpus) : null;
          if (place) return place;
          const reason = budget ?? describe(job, gpus);
          const now = clock.now();
          if (isWaitOver(since, limits.gpuWait, now))
            throw new PluginError("no_capacity", `The command was not given a GPU in time: ${reason}.`, {
              retryable: true,
            });
          const [gpu, isOnMachine] = [gpus.map(formatGpu).join("|"), job.provider === "local"];
          if (budget === null) pool.enqueue([{ jobID: holder, owner, since, gpu, isOnMachine }], now);
          else pool.leaveQueue(holder);
          onWait(reason);
          await untilChange(deps, signal);
        }
      } finally {
        pool.leaveQueue(holder);
      }
    },
    /** Whether a queued job or command could start if these GPUs were free. */
    isWaitedFor(place: GpuPlace): boolean {
      const state = pool.poolState(clock.now());
      const lease = state.leases.find(({ id }) => id === place.id);
      return lease !== undefined && isWaitedFor(lease, state, admissionLimits);
    },
    /** Waits before the provider is asked again for GPUs that it did not have. @throws PluginError `no_capacity` when it has waited for too long */
    async pause(gpus: readonly GpuRequest[], refusal: string, { since, signal, onWait }: PlaceWait): Promise<void> {
      const now = clock.now();
      if (isWaitOver(since, limits.gpuWait, now)) throw new PluginError("no_capacity", refusal, { retryable: true });
      const retryAt = now + limits.gpuWait.pauseMs;
      while (clock.now() < retryAt && !signal.aborted) {
        onWait(describeGpuWait(gpus, { since, retryAt, isUnreachable: false }, clock.now()));
        await untilChange(deps, signal);
      }
    },
    release: (place: GpuPlace) => leases.release(place.id),
  };
}

export type GpuPlaces = ReturnType<typeof createGpuPlaces>;

const cancelled = () => new PluginError("cancelled", "The command was stopped before it had a GPU.");

/** Until something was released in this process, or for a moment. Never rejects. */
function untilChange({ leases, clock }: Pick<GpuPlacesDeps, "leases" | "clock">, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      off();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(POLL_MS, done);
    const off = leases.on(({ kind }) => kind !== "cancel_requested" && done());
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
