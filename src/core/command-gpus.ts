import type { GpuRequest } from "../config/gpu.ts";
import {
  type AdmissionLimits,
  type Choice,
  createCapacity,
  type LeaseUse,
  pass,
  type QueueEntry,
} from "./admission.ts";

/**
 * Which GPUs a command of a running job may have beside what the job holds. Jobs that were queued before it come first, as far
 * as there are slots for them; the job itself would keep others from ending if it waited for more.
 * @param holder its place in the queue
 */
export function chooseForCommand(
  holder: string,
  gpus: readonly GpuRequest[],
  { leases, queue }: { readonly leases: readonly LeaseUse[]; readonly queue: Iterable<QueueEntry> },
  limits: AdmissionLimits,
  now: number,
): Choice | null {
  const capacity = createCapacity(leases, limits);
  for (const entry of queue) {
    if (entry.jobID === holder || capacity.isFull()) break;
    if (entry.gpus.length > 0) pass(capacity, entry, now);
  }
  return capacity.choose(gpus, 0);
}

/** Whether somebody in the queue could start if these GPUs were free. @param lease one of the `leases` */
export function isWaitedFor(
  lease: LeaseUse,
  { leases, queue }: { readonly leases: readonly LeaseUse[]; readonly queue: Iterable<QueueEntry> },
  limits: AdmissionLimits,
): boolean {
  const now = createCapacity(leases, limits);
  const without = createCapacity(
    leases.filter((one) => one !== lease),
    limits,
  );
  for (const { gpus, needsNoSlot } of queue) {
    const slot = needsNoSlot ? 0 : 1;
    if (gpus.length > 0 && !now.choose(gpus, slot) && without.choose(gpus, slot)) return true;
  }
  return false;
}
