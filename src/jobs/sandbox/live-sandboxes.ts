import { formatGpu, type GpuRequest } from "../../config/gpu.ts";
import { addUsd, type Compute, measureCompute, openCompute, settleCompute, usdOver } from "../../core/cost.ts";
import type { Job } from "../../core/job.ts";
import { withFinished, withNotes, withUnfinished } from "../../core/job-notes.ts";
import type { Limits } from "../../core/limits.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Failure } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { createSerialQueues, type SerialQueues } from "../../shared/serial-queues.ts";
import type { ProjectTrees } from "../project/trees.ts";
import type { Leases } from "../queue/leases.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { PoolStore } from "../store/pool-store.ts";
import type { MadeSandbox } from "./creation.ts";
import { type TrackedSandbox, trackRequests } from "./pending-requests.ts";
import type { Snapshots } from "./snapshots.ts";

/**
 * The sandboxes of this process that jobs work in, and what is recorded of them: who has which, since when it costs
 * money, and that it is no more. One that ends by itself is cleared away here.
 */
export interface LiveSandboxes {
  /** The sandbox with its requests timed, for tools; null when the job has none in this process. */
  get(jobID: string): Sandbox | null;
  /** The sandbox itself, to take a snapshot of it or terminate it. */
  raw(jobID: string): Sandbox | undefined;
  /** Since when the sandbox owes an answer, epoch ms; null when it does not. */
  pendingSince(jobID: string): number | null;
  /** Whether a sandbox of the job has not been terminated yet, live or not. */
  isUnterminated(jobID: string): boolean;
  /**
   * Records that the job has this sandbox.
   * @param madeAt when its creation was asked for, epoch ms; null for one found again, whose ports and rate stay
   */
  adopt(sessionJobs: SessionJobs, job: Job, made: MadeSandbox, madeAt: number | null): Sandbox;
  /** From now on nobody is given the sandbox, which is about to be terminated. */
  release(jobID: string): void;
  /** Records what the job's sandbox has cost so far, where its provider has a meter. Never rejects. */
  measure(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox): Promise<void>;
  /** Adds to the job's cost what a sandbox has cost that was made for it and has ended before it got it. Never throws. */
  charge(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox, gpu: GpuRequest | null): void;
  /** Records that a sandbox is no more: its cost is settled and its GPUs are free. */
  recordTerminated(sessionJobs: SessionJobs, jobID: string, sandboxID: string): void;
  /** Terminates a sandbox whose files are kept, or lost. A termination that fails is tried again every minute. */
  terminate(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox): Promise<void>;
  /** Deletes the changes saved before the job's newest snapshot: they would pass for its newest work. */
  forgetOlderWork(job: Job): Promise<void>;
  /** Operations on a job's sandbox, strictly one after another. */
  readonly operations: SerialQueues;
  /** Waits for operations under way, and forgets all sandboxes: the state files are about to be closed. */
  suspend(): Promise<void>;
}

export interface LiveSandboxesDeps {
  readonly pool: PoolStore;
  /** Names this process. */
  readonly owner: string;
  readonly leases: Pick<Leases, "sandboxTerminated">;
  readonly limits: Limits;
  readonly snapshots: Snapshots;
  readonly trees: ProjectTrees;
  readonly clock: Clock;
  readonly log: Log;
}

const TERMINATE_RETRY_MS = 60_000;

export function createLiveSandboxes(deps: LiveSandboxesDeps): LiveSandboxes {
  const { pool, limits, clock, log } = deps;
  const live = new Map<string, Sandbox>();
  const tracked = new Map<string, TrackedSandbox>();
  const unterminated = new Set<string>();
  const operations = createSerialQueues();
  /** Terminations that failed and wait for another try. */
  const retries = new Set<() => void>();
  let suspended = false;

  function adopt(
    sessionJobs: SessionJobs,
    job: Job,
    { sandbox, notes, from }: MadeSandbox,
    madeAt: number | null,
  ): Sandbox {
    const granted = sandbox.gpu?.granted ?? null;
    live.set(job.id, sandbox);
    tracked.set(job.id, trackRequests(sandbox, clock));
    unterminated.add(job.id);
    pool.insertSandbox(sandbox.id, job.provider, job.id, job.orchestrator, clock.now());
    pool.ownSandbox(sandbox.id, deps.owner);
    if (from !== null) pool.saveOrigin(sandbox.id, from);
    sessionJobs.update(job.id, (current) => ({
      ...withNotes(current, notes),
      sandbox: { kind: "live", id: sandbox.id },
      gpu: granted ? formatGpu(granted) : current.gpu,
      devices: devicesOf(sandbox) ?? (madeAt === null ? current.devices : []),
      ports: madeAt === null ? current.ports : sandbox.ports,
      compute: madeAt === null ? current.compute : startCost(current, sandbox, madeAt),
    }));
    void sandbox.ended.then((failure) => {
      if (live.get(job.id) !== sandbox || suspended) return;
      live.delete(job.id);
      if (!failure) return recordTerminated(sessionJobs, job.id, sandbox.id);
      log("warn", "a sandbox ended by itself", { jobID: job.id, sandboxID: sandbox.id, reason: failure.message });
      sessionJobs.update(job.id, (current) => ({ ...current, sandbox: { kind: "gone" } }));
      void operations.run(job.id, () => clearAway(sessionJobs, job, sandbox, failure));
    });
    return sandbox;
  }

  const devicesOf = ({ gpu }: Sandbox) => (gpu && gpu.devices.length > 0 ? gpu.devices : null);

  const startCost = (job: Job, { gpu, billedSince }: Sandbox, madeAt: number): Compute => {
    const rates = limits.rates(job, gpu?.granted ?? null);
    return openCompute(job.compute, rates, billedSince ?? clock.now(), limits.sandboxUntil(job, madeAt));
  };

  async function measure(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox): Promise<void> {
    try {
      const usage = await sandbox.usage?.();
      if (!usage) return;
      const now = clock.now();
      sessionJobs.update(jobID, (job) => {
        const { since } = job.compute;
        const usd = since === null ? null : limits.meteredUsd(job, usage, now - since);
        return usd === null ? job : { ...job, compute: measureCompute(job.compute, usd, now) };
      });
    } catch (error) {
      log("warn", "could not record what a sandbox has cost", { jobID, sandboxID: sandbox.id, reason: String(error) });
    }
  }

  function charge(sessionJobs: SessionJobs, jobID: string, { id, billedSince }: Sandbox, gpu: GpuRequest | null): void {
    if (billedSince === null) return;
    try {
      sessionJobs.update(jobID, (job) => {
        const usd = usdOver(limits.rates(job, gpu).most, clock.now() - billedSince);
        return { ...job, compute: addUsd(job.compute, usd) };
      });
    } catch (error) {
      log("warn", "could not record what a sandbox has cost", { jobID, sandboxID: id, reason: String(error) });
    }
  }

  /** Takes a snapshot of a lost sandbox, unless its failure says that there is no room for one, and terminates it. */
  async function clearAway(sessionJobs: SessionJobs, job: Job, sandbox: Sandbox, failure: Failure): Promise<void> {
    try {
      if (failure.retryable !== false) {
        const { id: snapshotID } = await deps.snapshots.replaceParked(sessionJobs, job, sandbox);
        sessionJobs.update(job.id, (current) => ({ ...current, sandbox: { kind: "parked", snapshotID } }));
      }
    } catch (error) {
      log("warn", "nothing is left of a lost sandbox", {
        jobID: job.id,
        sandboxID: sandbox.id,
        reason: String(error),
      });
    }
    await forgetOlderWork(job);
    await terminate(sessionJobs, job.id, sandbox);
  }

  async function forgetOlderWork(job: Job): Promise<void> {
    if (!deps.snapshots.newestOf(job)) return;
    await deps.trees.forgetWork(job).catch((error) => {
      log("warn", "could not forget older work of a job", { jobID: job.id, reason: String(error) });
    });
  }

  function recordTerminated(sessionJobs: SessionJobs, jobID: string, sandboxID: string): void {
    sessionJobs.update(jobID, (job) => ({ ...job, compute: settleCompute(job.compute, clock.now()) }));
    pool.deleteSandbox(sandboxID);
    unterminated.delete(jobID);
    deps.leases.sandboxTerminated(jobID);
  }

  async function terminate(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox): Promise<void> {
    await measure(sessionJobs, jobID, sandbox); // afterwards the meter may be gone
    try {
      await sandbox.terminate();
      recordTerminated(sessionJobs, jobID, sandbox.id);
      sessionJobs.update(jobID, withFinished);
    } catch (error) {
      log("error", "could not end a sandbox", { jobID, sandboxID: sandbox.id, reason: String(error) });
      if (suspended) return;
      sessionJobs.update(jobID, (job) =>
        withUnfinished(job, "its sandbox could not be ended, which is tried again", error),
      );
      const cancel = clock.after(TERMINATE_RETRY_MS, () => {
        retries.delete(cancel);
        void operations.run(jobID, () => terminate(sessionJobs, jobID, sandbox));
      });
      retries.add(cancel);
    }
  }

  return {
    get: (jobID) => (live.has(jobID) ? (tracked.get(jobID)?.sandbox ?? null) : null),
    raw: (jobID) => live.get(jobID),
    pendingSince: (jobID) => (live.has(jobID) ? (tracked.get(jobID)?.pendingSince() ?? null) : null),
    isUnterminated: (jobID) => unterminated.has(jobID),
    adopt,
    release: (jobID) => void live.delete(jobID),
    measure,
    charge,
    recordTerminated,
    terminate,
    forgetOlderWork,
    operations,
    async suspend() {
      suspended = true;
      for (const cancel of retries) cancel();
      await operations.settled();
      live.clear();
    },
  };
}
