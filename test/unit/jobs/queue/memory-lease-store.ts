import { gpusOf } from "../../../../src/config/gpu.ts";
import type { QueueEntry } from "../../../../src/core/admission.ts";
import type { Lease, LeaseStore } from "../../../../src/jobs/store/lease-store.ts";

export type LeaseStoreCall = "poolState" | "acquireLease" | "renewLeases" | "releaseLease" | "enqueue" | "leaveQueue";

/** Leases and queue in memory. Its calls can be made to fail, as they do on a full disk. */
export interface MemoryLeaseStore extends LeaseStore {
  readonly leases: ReadonlyMap<string, Lease>;
  /** Entries by job id. */
  readonly queue: ReadonlyMap<string, Omit<QueueEntry, "jobID">>;
  /** How many places of the queue were looked at. */
  looks(): number;
  /** Calls that throw. */
  readonly failing: Set<LeaseStoreCall>;
}

export function createMemoryLeaseStore(): MemoryLeaseStore {
  const leases = new Map<string, Lease>();
  const queue = new Map<string, Omit<QueueEntry, "jobID"> & { readonly owner: string }>();
  const cancels = new Map<string, string | null>();
  const failing = new Set<LeaseStoreCall>();
  const failIfAsked = (call: LeaseStoreCall) => {
    if (failing.has(call)) throw new Error(`${call}: disk full`);
  };
  const queueEntries = () => [...queue].map(([jobID, entry]) => ({ jobID, ...entry }));
  let looks = 0;
  const entries = {
    *[Symbol.iterator]() {
      for (const [jobID, entry] of [...queue]) {
        looks++;
        yield { jobID, ...entry };
      }
    },
  };

  return {
    leases,
    queue,
    failing,
    looks: () => looks,
    unsettledUntil: () => 0,
    poolState() {
      failIfAsked("poolState");
      return { leases: [...leases.values()], queue: entries };
    },
    positions(jobIDs) {
      const places = queueEntries().map(({ jobID }, index) => [jobID, index + 1] as const);
      return new Map(places.filter(([jobID]) => jobIDs.includes(jobID)));
    },
    queuedUntil: (until) => queueEntries().filter(({ since }) => since <= until).length,
    isShared(owner) {
      for (const held of [leases, queue]) for (const one of held.values()) if (one.owner !== owner) return true;
      return false;
    },
    acquireLease(request, decide) {
      failIfAsked("acquireLease");
      const use = decide({ leases: [...leases.values()], queue: entries });
      if (!use) return null;
      for (const { id, jobID } of [...leases.values()]) if (jobID === request.jobID) leases.delete(id);
      const lease = { ...request, ...use };
      leases.set(request.id, lease);
      return lease;
    },
    changeLease(lease, use, decide) {
      const others = [...leases.values()].filter(({ id }) => id !== lease.id);
      if (!decide({ leases: others, queue: [] })) return false;
      leases.set(lease.id, { ...lease, ...use });
      return true;
    },
    renewLeases(renewed) {
      failIfAsked("renewLeases");
      for (const lease of renewed) leases.set(lease.id, lease);
      return [];
    },
    leave() {},
    silentHolder: () => null,
    releaseLease(id) {
      failIfAsked("releaseLease");
      leases.delete(id);
    },
    isLeaseAlive: (id) => leases.has(id),
    enqueue(jobs) {
      failIfAsked("enqueue");
      for (const { jobID, gpu, ...entry } of jobs)
        if (!queue.has(jobID)) queue.set(jobID, { ...entry, gpus: gpusOf(gpu) });
    },
    leaveQueue(jobID) {
      failIfAsked("leaveQueue");
      queue.delete(jobID);
    },
    askToCancel: (leaseID, reason) => void cancels.set(leaseID, reason),
    takeCancels(leaseIDs) {
      const taken = [...cancels].filter(([leaseID]) => leaseIDs.has(leaseID));
      for (const [leaseID] of taken) cancels.delete(leaseID);
      return taken.map(([leaseID, reason]) => ({ leaseID, reason }));
    },
  };
}
