import { formatGpu, type GpuRequest, gpusOf } from "../../config/gpu.ts";
import { type AdmissionLimits, canChangeGpu, type LeaseUse } from "../../core/admission.ts";
import type { Job } from "../../core/job.ts";
import type { Clock } from "../../shared/clock.ts";
import { createEmitter } from "../../shared/emitter.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import { LEASE_RENEW_MS, type Lease, type LeaseStore, type PoolState } from "../store/lease-store.ts";
import type { LocalQueue } from "./local-queue.ts";

/** The leases of this process, renewed until they are released. A lease holds a slot for a job, GPUs, or both. */
export interface Leases {
  /**
   * Acquires a lease for a job if `decide` allows it. The new lease replaces every other of the job.
   * @param decide what the lease takes of the pool as it is now; null = nothing
   */
  acquire(job: Pick<Job, "id" | "orchestrator">, decide: (state: PoolState) => LeaseUse | null): Lease | null;
  /** Releases a lease. A release that fails, e.g. on a full disk, is tried again. */
  release(leaseID: string): void;
  /** Frees the slot and keeps the GPUs until `sandboxTerminated`: the job's sandbox, which has them, may outlive its run. */
  releaseSlot(leaseID: string): void;
  /** The job's sandbox is terminated: its GPUs, and the budget held in reserve for it, are free. */
  sandboxTerminated(jobID: string): void;
  /** The GPUs of this machine that the job holds in this process; null = none. */
  machineGpusOf(jobID: string): { readonly gpu: GpuRequest; readonly devices: readonly string[] } | null;
  /** Makes `gpu` what a running job holds, in place of what its lease was granted for; false where the limits forbid it. */
  claimGpu(job: Job, gpu: GpuRequest): boolean;
  /** Runs that use this job's slot take slots of their own from now on: it does not wait for them any more. */
  endBorrowing(jobID: string): void;
  /** Holds the GPUs of a sandbox that a former process left, until the sandbox is terminated. */
  keepGpu(job: Job): void;
  /** GPUs are free that no lease here held: those of a sandbox that was kept ready. */
  tellFreed(): void;
  /** Starts to renew leases and places in the queue. No-op while that goes on. */
  renew(): void;
  on(listener: (event: LeaseEvent) => void): () => void;
  stop(): void;
}

export type LeaseEvent =
  /** A slot or GPUs that queued jobs may wait for are free. */
  | { readonly kind: "freed" }
  /** A sandbox that held neither has ended, which may leave more of a budget for queued jobs. */
  | { readonly kind: "cost_ended" }
  /** A lease was not renewed in time, so that another process may have taken its job up. */
  | { readonly kind: "lapsed"; readonly lease: Lease }
  /** Another process asks to cancel a job that this one runs. */
  | { readonly kind: "cancel_requested"; readonly lease: Lease; readonly reason: string | null };

export interface LeasesDeps {
  readonly pool: LeaseStore;
  readonly localQueue: Pick<LocalQueue, "all" | "renew">;
  readonly limits: AdmissionLimits;
  readonly owner: string;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
}

const RELEASE_RETRY_MS = 2_000;

export function createLeases({ pool, localQueue, limits, owner, clock, ids, log }: LeasesDeps): Leases {
  const held = new Map<string, Lease>();
  const events = createEmitter<LeaseEvent>((error) => log("error", "a listener failed", { reason: String(error) }));
  let stopRenewal: (() => void) | null = null;
  let stopped = false;

  function renew(): void {
    if (stopRenewal || stopped) return;
    stopRenewal = clock.after(LEASE_RENEW_MS, () => {
      stopRenewal = null;
      try {
        if (held.size > 0) renewNow();
        localQueue.renew();
        if (localQueue.all().length === 0 && held.size === 0) return;
      } catch (error) {
        log("warn", "could not renew leases", { reason: String(error) }); // several tries fit into their lifetime
      }
      renew();
    });
  }

  function renewNow(): void {
    for (const { lease, isTaken } of pool.renewLeases(held.values(), clock.now())) {
      if (isTaken) held.delete(lease.id);
      events.emit({ kind: "lapsed", lease });
    }
    for (const { leaseID, reason } of pool.takeCancels(new Set(held.keys()))) {
      const lease = held.get(leaseID);
      if (lease) events.emit({ kind: "cancel_requested", lease, reason });
    }
  }

  function acquire(job: Pick<Job, "id" | "orchestrator">, decide: (state: PoolState) => LeaseUse | null): Lease | null {
    const request = { id: ids("lease"), jobID: job.id, orchestrator: job.orchestrator, owner };
    const lease = pool.acquireLease(request, decide, clock.now());
    if (!lease) return null;
    for (const { id, jobID } of held.values()) if (jobID === lease.jobID) held.delete(id);
    held.set(lease.id, lease);
    renew();
    return lease;
  }

  function release(leaseID: string): void {
    held.delete(leaseID);
    try {
      pool.releaseLease(leaseID);
      events.emit({ kind: "freed" });
    } catch (error) {
      log("error", "could not free a lease", { leaseID, reason: String(error) });
      if (!stopped) clock.after(RELEASE_RETRY_MS, () => release(leaseID)); // once stopped, the lease expires
    }
  }

  return {
    acquire,
    release,
    releaseSlot(leaseID) {
      const lease = held.get(leaseID);
      if (!lease?.gpu) return release(leaseID);
      const withoutSlot: Lease = { ...lease, slots: 0 };
      held.set(leaseID, withoutSlot);
      try {
        pool.renewLeases([withoutSlot], clock.now());
      } catch (error) {
        log("warn", "could not free a slot yet", { leaseID, reason: String(error) }); // the next renewal does
      }
      events.emit({ kind: "freed" });
    },
    sandboxTerminated(jobID) {
      for (const lease of [...held.values()]) if (lease.jobID === jobID && lease.slots === 0) release(lease.id);
      events.emit({ kind: "cost_ended" });
    },
    machineGpusOf(jobID) {
      const lease = [...held.values()].find((each) => each.jobID === jobID);
      return lease?.gpu && lease.devices ? { gpu: lease.gpu, devices: lease.devices } : null;
    },
    claimGpu(job, gpu) {
      const lease = "leaseID" in job.state ? held.get(job.state.leaseID) : undefined;
      if (!lease) return false;
      if (lease.gpu && formatGpu(lease.gpu) === formatGpu(gpu)) return true;
      const use: LeaseUse = { slots: 1, gpu };
      const isAllowed = (state: PoolState) =>
        canChangeGpu(gpu, { leases: state.leases, ahead: state.queue }, limits, clock.now());
      if (!pool.changeLease(lease, use, isAllowed, clock.now())) return false;
      held.set(lease.id, { ...lease, ...use });
      events.emit({ kind: "freed" }); // what the lease held before may be what another job waits for
      return true;
    },
    endBorrowing(jobID) {
      const borrowing = [...held.values()].filter(({ borrowedFrom }) => borrowedFrom === jobID);
      if (borrowing.length === 0) return;
      const own = borrowing.map((lease) => ({ ...lease, borrowedFrom: null }));
      for (const lease of own) held.set(lease.id, lease);
      try {
        pool.renewLeases(own, clock.now());
      } catch (error) {
        log("warn", "could not record yet that a run takes a slot of its own", { jobID, reason: String(error) }); // the next renewal does
      }
    },
    keepGpu(job) {
      const [gpu] = gpusOf(job.gpu);
      if (job.provider === "local") return; // its processes ended with the process that had made it
      if (gpu) acquire(job, () => ({ slots: 0, gpu }));
    },
    tellFreed: () => events.emit({ kind: "freed" }),
    renew,
    on: (listener) => events.on(listener),
    stop() {
      stopped = true;
      stopRenewal?.();
    },
  };
}
