import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import { LEASE_RENEW_MS, type Lease, type LeaseStore } from "../store/lease-store.ts";

/** The leases of this process, kept alive until they are released. */
export interface Leases {
  /** Takes over a lease just acquired; it replaces what its job held before. */
  add(lease: Lease): void;
  get(leaseID: string): Lease | undefined;
  /** The same lease, taking something else now. */
  change(lease: Lease): void;
  /** Frees a lease. What a full disk keeps from being freed is freed later. */
  release(leaseID: string): void;
  /** Frees what is kept for the job's sandbox alone. */
  releaseIdle(jobID: string): void;
  stop(): void;
}

export interface LeasesDeps {
  readonly pool: LeaseStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Called with every renewal: places in the queue lapse like leases. Returns whether there are any. */
  readonly renewQueue: () => boolean;
  /** Another process asks that a job of ours be cancelled. */
  readonly onCancelAsked: (lease: Lease, reason: string | null) => void;
  readonly onFreed: () => void;
}

const RELEASE_RETRY_MS = 2_000;

export function createLeases({ pool, clock, log, renewQueue, onCancelAsked, onFreed }: LeasesDeps): Leases & {
  /** Starts renewing, if that does not happen already. */
  renew(): void;
} {
  const held = new Map<string, Lease>();
  let stopRenewal: (() => void) | null = null;
  let stopped = false;

  function renew(): void {
    if (stopRenewal || stopped) return;
    stopRenewal = clock.after(LEASE_RENEW_MS, () => {
      stopRenewal = null;
      try {
        if (held.size > 0) {
          pool.renewLeases(held.values(), clock.now());
          for (const { leaseID, reason } of pool.takeCancels(new Set(held.keys())))
            onCancelAsked(held.get(leaseID) as Lease, reason);
        }
        if (!renewQueue() && held.size === 0) return;
      } catch (error) {
        log("warn", "could not renew leases", { reason: String(error) }); // several tries fit into their time
      }
      renew();
    });
  }

  function release(leaseID: string): void {
    held.delete(leaseID);
    try {
      pool.releaseLease(leaseID);
    } catch (error) {
      log("error", "could not free a lease", { leaseID, reason: String(error) });
      if (stopped) return; // it lapses
      clock.after(RELEASE_RETRY_MS, () => {
        release(leaseID);
        onFreed();
      });
    }
  }

  return {
    add(lease) {
      for (const { id, jobID } of held.values()) if (jobID === lease.jobID) held.delete(id);
      held.set(lease.id, lease);
      renew();
    },
    get: (leaseID) => held.get(leaseID),
    change(lease) {
      if (held.has(lease.id)) held.set(lease.id, lease);
    },
    release,
    releaseIdle(jobID) {
      for (const { id, slots, jobID: owner } of [...held.values()]) if (owner === jobID && slots === 0) release(id);
    },
    renew,
    stop() {
      stopped = true;
      stopRenewal?.();
    },
  };
}
