import type { GpuRequest } from "../../../config/gpu.ts";
import { type AdmissionLimits, type Choice, canChangeGpu, decideInLentSlot } from "../../../core/admission.ts";
import type { PoolState } from "../../store/lease-store.ts";

/** GPUs for a sandbox that no job needs yet: none that a job holds, nor that one has waited for too long; null = there are none. */
export function chooseGpu(
  gpu: GpuRequest | null,
  { leases, queue }: PoolState,
  limits: AdmissionLimits,
  now: number,
): Choice | null {
  if (!gpu) return { gpu };
  const choice = decideInLentSlot([gpu], leases, limits);
  return choice?.gpu && canChangeGpu(choice.gpu, { leases, ahead: queue }, limits, now) ? choice : null;
}

/** Whether a sandbox has the GPUs of this machine that a job was given; null = it has none of this machine's. */
export function isSameSet(has: readonly string[] | null, given: readonly string[] | null): boolean {
  return has === null || JSON.stringify([...has].sort()) === JSON.stringify([...(given ?? [])].sort());
}
