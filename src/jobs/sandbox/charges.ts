import type { GpuRequest } from "../../config/gpu.ts";
import { addUsd, usdOver } from "../../core/cost.ts";
import type { Limits } from "../../core/limits.ts";
import { rateOf } from "../../core/sandbox-tags.ts";
import type { ListedSandbox, Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { PoolStore } from "../store/pool-store.ts";

/** What sandboxes cost that are no job's present one, until they have ended. */
export interface Charges {
  /** Adds to the job's cost what a sandbox costs, until it has ended, that was made for it and that it does not get. Never throws. */
  charge(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox, gpu: GpuRequest | null): void;
  /** Adds what a sandbox that nobody had recorded has cost until now, when it has been ended, as its tags say. Never throws. */
  chargeLeft(sessionJobs: SessionJobs, jobID: string, left: ListedSandbox): void;
  /** Adds what a sandbox costs: what it has until now at once, and the rest when it has ended. Never throws. */
  addCost(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox, usdPerHour: number, from: number): void;
  /** Does `record` when the sandbox has ended, or at `recordAll`. */
  onceEnded(sandbox: Sandbox, record: () => void): void;
  /** Records what waits for the end of a sandbox: the state files are about to be closed. */
  recordAll(): void;
}

export interface ChargesDeps {
  readonly limits: Pick<Limits, "rates">;
  readonly pool: Pick<PoolStore, "claimLastCharge">;
  readonly clock: Clock;
  readonly log: Log;
}

export function createCharges({ limits, pool, clock, log }: ChargesDeps): Charges {
  /** Terminations that were accepted: what records their end. */
  const ending = new Set<() => void>();

  function charge(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox, gpu: GpuRequest | null): void {
    const { billedSince } = sandbox;
    if (billedSince === null) return;
    const job = sessionJobs.get(jobID);
    if (job && pool.claimLastCharge(sandbox.id))
      addCost(sessionJobs, jobID, sandbox, limits.rates(job, gpu).most, billedSince);
  }

  function addSince(
    sessionJobs: SessionJobs,
    jobID: string,
    sandboxID: string,
    usdPerHour: number,
    since: number,
  ): void {
    try {
      const usd = usdOver(usdPerHour, clock.now() - since);
      if (usd > 0) sessionJobs.update(jobID, (job) => ({ ...job, compute: addUsd(job.compute, usd) }));
    } catch (error) {
      log("warn", "could not record what a sandbox has cost", { jobID, sandboxID, reason: String(error) });
    }
  }

  function addCost(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox, usdPerHour: number, from: number): void {
    const add = (since: number) => addSince(sessionJobs, jobID, sandbox.id, usdPerHour, since);
    const now = clock.now();
    add(from);
    onceEnded(sandbox, () => add(now));
  }

  function onceEnded(sandbox: Sandbox, record: () => void): void {
    const once = () => {
      if (ending.delete(once)) record();
    };
    ending.add(once);
    void sandbox.ended.then(once);
  }

  return {
    charge,
    chargeLeft(sessionJobs, jobID, { id, tags, billedSince }) {
      if (billedSince != null) addSince(sessionJobs, jobID, id, rateOf(tags), billedSince);
    },
    addCost,
    onceEnded,
    recordAll() {
      for (const record of [...ending]) record();
    },
  };
}
