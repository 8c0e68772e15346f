import { type AdmissionLimits, countGpus, createLine, type Line, slotsOf } from "../../core/admission.ts";
import type { PoolState } from "../store/lease-store.ts";

/** The pool at one moment. */
export interface PoolLook {
  readonly state: PoolState;
  readonly line: Line;
  /** Jobs that other processes run. */
  readonly elsewhere: ReadonlySet<string>;
}

/** @param owner names this process */
export function lookAtPool(state: PoolState, owner: string, limits: AdmissionLimits, now: number): PoolLook {
  const elsewhere = state.leases.filter((one) => one.owner !== owner && one.slots > 0);
  return { state, line: createLine(state, limits, now), elsewhere: new Set(elsewhere.map(({ jobID }) => jobID)) };
}

export interface PoolCounts {
  /** Jobs of all processes. */
  readonly running: number;
  /** Jobs of this process. */
  readonly queued: number;
  readonly gpus: ReturnType<typeof countGpus>;
}

export const countPool = ({ leases }: PoolState, queued: number, limits: AdmissionLimits): PoolCounts => ({
  running: slotsOf(leases),
  queued,
  gpus: countGpus(leases, limits.gpus, limits.machine),
});
