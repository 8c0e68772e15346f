import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import type { PoolStore } from "../store/pool-store.ts";

export interface GivenBackDeps {
  readonly pool: Pick<PoolStore, "deleteSandbox" | "sandboxCost" | "saveSandboxCost">;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborted when nothing more is to be prepared. */
  readonly ending: AbortSignal;
}

/** Sandboxes that have done their part and are being ended. Whoever waits for what they made does not wait for that. */
export interface GivenBack {
  /** @param charge adds what a sandbox costs that exists for so long, ms. @param since up to when it was charged, epoch ms */
  give(sandbox: Sandbox, jobID: string, charge: (ms: number) => void, since: number): void;
  settled(): Promise<unknown>;
}

export function createGivenBack({ pool, clock, log, ending }: GivenBackDeps): GivenBack {
  const giving = new Set<Promise<void>>();
  return {
    give(sandbox, jobID, charge, since) {
      const now = clock.now();
      const isClosing = () => ending.aborted; // the state files may be closed; garbage collection sees that it has ended
      if (!isClosing()) {
        charge(now - since);
        const cost = pool.sandboxCost(sandbox.id);
        if (cost) pool.saveSandboxCost(sandbox.id, { ...cost, chargedTo: now });
      }
      const record = () => {
        if (isClosing()) return;
        charge(clock.now() - now);
        pool.deleteSandbox(sandbox.id);
      };
      const accepted = sandbox.terminate().then(
        () => void sandbox.ended.then(record),
        // It stays recorded, so that the next garbage collection ends it.
        (error) => log("warn", "could not end a sandbox", { jobID, sandboxID: sandbox.id, reason: String(error) }),
      );
      giving.add(accepted);
      void accepted.finally(() => giving.delete(accepted));
    },
    settled: () => Promise.allSettled(giving),
  };
}
