import { formatGpu } from "../../config/gpu.ts";
import { type AdmissionLimits, decideInLentSlot, type LeaseUse } from "../../core/admission.ts";
import type { Job } from "../../core/job.ts";
import { gpusWanted } from "../../core/machine-pool.ts";
import type { Failure } from "../../shared/error-code.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { PoolState } from "../store/lease-store.ts";
import type { WaitingJobs } from "./waiting-jobs.ts";

/**
 * Slots of jobs that wait for runs which their agents started. While none of its runs is at work, one may use its job's
 * slot: otherwise a job that holds the last slot would wait for a run that waits for this slot.
 */
export interface LentSlots {
  /** What a run takes that may use the slot of its job; null = it may not, or its GPUs are not free. */
  useFor(sessionJobs: SessionJobs, job: Job, state: PoolState): LeaseUse | null;
  /**
   * Why a run fails for which no GPU is free while its job, which waits for it, holds GPUs itself: two such jobs would wait
   * for each other forever. null = it may wait.
   */
  stuckFailure(sessionJobs: SessionJobs, job: Job, state: PoolState): Failure | null;
}

export interface LentSlotsDeps {
  readonly waiting: Pick<WaitingJobs, "has">;
  readonly limits: AdmissionLimits;
}

export function createLentSlots({ waiting, limits }: LentSlotsDeps): LentSlots {
  /** The job that started a run, if it waits and none of its runs is at work; null = it goes on without help. */
  function idleStarterOf(sessionJobs: SessionJobs, { startedBy }: Job, { leases }: PoolState): string | null {
    if (startedBy === null || !waiting.has(startedBy)) return null;
    const isAtWork = leases.some((one) => one.slots > 0 && sessionJobs.get(one.jobID)?.startedBy === startedBy);
    return isAtWork ? null : startedBy;
  }

  return {
    useFor(sessionJobs, job, state) {
      const starter = idleStarterOf(sessionJobs, job, state);
      if (starter === null) return null;
      const others = state.leases.filter(({ jobID }) => jobID !== job.id);
      const choice = decideInLentSlot(gpusWanted(job), others, limits);
      return choice && { slots: 1, ...choice, borrowedFrom: starter };
    },
    stuckFailure(sessionJobs, job, state) {
      const starter = idleStarterOf(sessionJobs, job, state);
      const held = state.leases.find(({ jobID }) => jobID === starter)?.gpu;
      if (!held || job.task.gpu === null) return null;
      const message = `No GPU is free for a run on ${job.task.gpu}: its job ${starter} holds ${formatGpu(held)} itself while it waits for the run, and so cannot wait for others to end. Run the command in the job's own sandbox, leave gpu out, or start the run again later.`;
      return { code: "no_capacity", message, retryable: true };
    },
  };
}
