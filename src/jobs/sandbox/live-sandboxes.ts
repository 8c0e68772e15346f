import { formatGpu, type GpuRequest } from "../../config/gpu.ts";
import { type Compute, openCompute, settleCompute } from "../../core/cost.ts";
import type { Job } from "../../core/job.ts";
import { withFinished, withNotes, withUnfinished } from "../../core/job-notes.ts";
import type { Limits } from "../../core/limits.ts";
import { withSandboxOf } from "../../core/sandbox-reuse.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Failure } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { createSerialQueues, type SerialQueues } from "../../shared/serial-queues.ts";
import type { ProjectTrees } from "../project/trees.ts";
import type { Leases } from "../queue/leases.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { PoolStore } from "../store/pool-store.ts";
import { type Charges, createCharges } from "./charges.ts";
import type { MadeSandbox, WarmOrigin } from "./creation.ts";
import { createGpuSampler } from "./gpu-sampler.ts";
import { keepLostFiles, UNSEEN, withLoss } from "./keep-lost-files.ts";
import { createMeter, isCounted, type Meter } from "./meter.ts";
import { type TrackedSandbox, trackRequests } from "./pending-requests.ts";
import type { Snapshots } from "./snapshots.ts";

/**
 * The sandboxes of this process that jobs work in, and what is recorded of them: who has which, since when it costs
 * money, and that it has ended. One that ends by itself is cleared away here.
 */
export interface LiveSandboxes extends Meter {
  /** The sandbox with its requests timed, for tools; null when the job has none in this process. */
  get(jobID: string): Sandbox | null;
  /** The sandbox itself, to take a snapshot of it or terminate it. */
  raw(jobID: string): Sandbox | undefined;
  /** Since when the sandbox owes an answer, epoch ms; null when it does not. */
  pendingSince(jobID: string): number | null;
  /** Whether a sandbox of the job has not ended yet, live, ending, or one that could not be ended. */
  isUnterminated(jobID: string): boolean;
  /**
   * Records that the job has this sandbox.
   * @param madeAt when its creation was asked for, epoch ms; null for one found again, whose ports and rate stay
   */
  adopt(sessionJobs: SessionJobs, job: Job, made: MadeSandbox, madeAt: number | null): Sandbox;
  /** Gives the live sandbox of a run that has ended to another: its cost and all records, at once. If it throws, the run has it still. */
  handOver(sessionJobs: SessionJobs, from: Job, to: Job, what: HandedOver): void;
  /** From now on nobody is given the sandbox, which is about to be terminated. */
  release(jobID: string): void;
  /** Adds to the job's cost what a sandbox costs, until it has ended, that was made for it and that it does not get. Never throws. */
  charge(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox, gpu: GpuRequest | null): void;
  chargeLeft: Charges["chargeLeft"];
  /** Records that a sandbox has ended: its cost is settled and its GPUs are free. */
  recordTerminated(sessionJobs: SessionJobs, jobID: string, sandboxID: string): void;
  /** Records that the provider is ending the job's sandbox, and later that it has ended. */
  recordEnding(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox): void;
  /**
   * Terminates a sandbox whose files are kept, or lost: the provider is asked at once, so its meter is to be read before.
   * Resolves when the provider has accepted that; until the sandbox has ended it is counted, its cost and its GPUs too. A
   * termination that fails is tried again every minute.
   */
  terminate(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox): Promise<void>;
  /**
   * Keeps the last files of a sandbox that ended by itself, and records that it has ended; for callers that run as an
   * operation on the job's sandbox. No-op for one that was cleared away before. Never rejects.
   */
  clearAway(sessionJobs: SessionJobs, jobID: string, sandboxID: string): Promise<void>;
  /** Deletes the changes saved before the job's newest snapshot: they would pass for its newest work. */
  forgetOlderWork(job: Job): Promise<void>;
  /** Operations on a job's sandbox, strictly one after another. */
  readonly operations: SerialQueues;
  /** Waits for operations under way, and forgets all sandboxes: the state files are about to be closed. */
  suspend(): Promise<void>;
}

export interface HandedOver {
  readonly notes: { readonly from: readonly string[]; readonly to: readonly string[] };
  /** What the run that had the sandbox has in its place. */
  readonly after: Job["sandbox"];
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
  const live = new Map<string, Readonly<{ raw: Sandbox; tracked: TrackedSandbox; stopSampling(): void }>>();
  /** Sandboxes that have not ended, by job: a revived job has a second one while its first is ending. */
  const notEnded = new Map<string, Set<string>>();
  const operations = createSerialQueues();
  const meter = createMeter(deps);
  const charges = createCharges(deps);
  const gpuSampler = createGpuSampler(deps);
  /** Terminations that failed and wait for another try. */
  const retries = new Set<() => void>();
  const lost = new Map<string, { readonly sandbox: Sandbox; readonly failure: Failure; readonly at: number }>();
  let suspended = false;

  function adopt(
    sessionJobs: SessionJobs,
    job: Job,
    { sandbox, notes, from, warm }: MadeSandbox,
    madeAt: number | null,
  ): Sandbox {
    const granted = sandbox.gpu?.granted ?? null;
    hold(sessionJobs, job, sandbox, madeAt === null);
    if (from !== null) pool.saveOrigin(sandbox.id, from);
    sessionJobs.update(job.id, (current) => ({
      ...withNotes(current, notes),
      sandbox: { kind: "live", id: sandbox.id },
      gpu: granted ? formatGpu(granted) : current.gpu,
      gpuWait: null,
      devices: devicesOf(sandbox) ?? (madeAt === null ? current.devices : []),
      ports: madeAt === null ? current.ports : sandbox.ports,
      compute: madeAt === null ? current.compute : startCost(current, sandbox, madeAt, warm),
    }));
    follow(sessionJobs, job, sandbox);
    return sandbox;
  }

  function handOver(sessionJobs: SessionJobs, from: Job, to: Job, { notes, after }: HandedOver): void {
    const sandbox = live.get(from.id)?.raw;
    if (!sandbox) return;
    forget(from.id);
    const now = clock.now();
    const { until } = from.compute;
    try {
      // First of all, so that whoever collects garbage meanwhile asks the job that goes on with it.
      hold(sessionJobs, to, sandbox, false);
      sessionJobs.update(from.id, (job) => withNotes({ ...settled(job, sandbox.id), sandbox: after }, notes.from));
      sessionJobs.update(to.id, (job) => ({
        ...withNotes(withSandboxOf(job, from, sandbox), notes.to),
        compute: openCompute(job.compute, limits.rates(job, null), now, until),
      }));
    } catch (error) {
      forget(to.id);
      forgetEnded(to.id, sandbox.id);
      hold(sessionJobs, from, sandbox, false);
      throw error;
    }
    follow(sessionJobs, to, sandbox);
    forgetEnded(from.id, sandbox.id);
  }

  function hold(sessionJobs: SessionJobs, job: Job, sandbox: Sandbox, isFoundAgain: boolean): void {
    const tracked = trackRequests(sandbox, clock);
    const stopSampling = gpuSampler.follow({ sessionJobs, job, sandbox, isBusy: tracked.isBusy, isFoundAgain });
    live.set(job.id, { raw: sandbox, tracked, stopSampling });
    notEnded.set(job.id, (notEnded.get(job.id) ?? new Set()).add(sandbox.id));
    pool.insertSandbox(sandbox.id, job.provider, job.id, job.orchestrator, clock.now());
    pool.ownSandbox(sandbox.id, deps.owner);
  }

  function forget(jobID: string): void {
    live.get(jobID)?.stopSampling();
    live.delete(jobID);
  }

  /** Clears the sandbox away when it ends by itself. */
  function follow(sessionJobs: SessionJobs, job: Job, sandbox: Sandbox): void {
    void sandbox.ended.then((failure) => {
      if (live.get(job.id)?.raw !== sandbox || suspended) return;
      forget(job.id);
      if (!failure) return recordTerminated(sessionJobs, job.id, sandbox.id);
      const at = clock.now();
      log("warn", "a sandbox ended by itself", { jobID: job.id, sandboxID: sandbox.id, reason: failure.message });
      // It stays the job's sandbox until its files are kept: if this process dies before, the next one asks for them.
      sessionJobs.update(job.id, (current) => ({
        ...(current.sandbox.kind === "live" ? withLoss(current, { failure, at }) : current),
        compute: settleCompute(current.compute, at),
      }));
      lost.set(sandbox.id, { sandbox, failure, at });
      operations
        .run(job.id, () => clearAway(sessionJobs, job.id, sandbox.id))
        .catch((error) =>
          log("error", "could not clear a lost sandbox away", { jobID: job.id, reason: String(error) }),
        );
    });
  }

  const devicesOf = ({ gpu }: Sandbox) => (gpu && gpu.devices.length > 0 ? gpu.devices : null);

  const startCost = (job: Job, { gpu, billedSince }: Sandbox, madeAt: number, warm?: WarmOrigin): Compute => {
    const rates = limits.rates(job, gpu?.granted ?? null);
    if (warm) return openCompute(job.compute, rates, warm.takenAt, warm.until);
    return openCompute(job.compute, rates, billedSince ?? clock.now(), limits.sandboxUntil(job, madeAt));
  };

  async function clearAway(sessionJobs: SessionJobs, jobID: string, sandboxID: string): Promise<void> {
    const job = sessionJobs.get(jobID);
    const { sandbox, ...known } = lost.get(sandboxID) ?? { sandbox: null, failure: UNSEEN, at: clock.now() };
    lost.delete(sandboxID);
    if (job?.sandbox.kind === "live" && job.sandbox.id === sandboxID) {
      await keepLostFiles(deps, sessionJobs, jobID, { id: sandboxID, ...known });
      await forgetOlderWork(job);
    }
    if (sandbox) await terminate(sessionJobs, jobID, sandbox);
    else if (job) recordTerminated(sessionJobs, jobID, sandboxID);
  }

  async function forgetOlderWork(job: Job): Promise<void> {
    if (!deps.snapshots.newestOf(job)) return;
    await deps.trees.forgetWork(job).catch((error) => {
      log("warn", "could not forget older work of a job", { jobID: job.id, reason: String(error) });
    });
  }

  const settled = (job: Job, sandboxID: string): Job =>
    isCounted(job, sandboxID) ? { ...job, compute: settleCompute(job.compute, clock.now()) } : job;

  function recordTerminated(sessionJobs: SessionJobs, jobID: string, sandboxID: string): void {
    sessionJobs.update(jobID, (job) => settled(job, sandboxID));
    recordEnded(jobID, sandboxID);
  }

  function recordEnded(jobID: string, sandboxID: string): void {
    pool.deleteSandbox(sandboxID);
    forgetEnded(jobID, sandboxID);
  }

  function forgetEnded(jobID: string, sandboxID: string): void {
    const left = notEnded.get(jobID);
    left?.delete(sandboxID);
    if (left && left.size > 0) return;
    notEnded.delete(jobID);
    deps.leases.sandboxTerminated(jobID);
  }

  /** The provider is ending the sandbox of the job, which may have another before that is done. */
  function recordEnding(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox): void {
    const job = sessionJobs.get(jobID);
    const { usdPerHour = 0, since = null } = job && isCounted(job, sandbox.id) ? job.compute : {};
    sessionJobs.update(jobID, (current) => withFinished(settled(current, sandbox.id)));
    if (since !== null) charges.addCost(sessionJobs, jobID, sandbox, usdPerHour, clock.now());
    charges.onceEnded(sandbox, () => {
      try {
        recordEnded(jobID, sandbox.id);
      } catch (error) {
        // It stays recorded: the next garbage collection sees that it has ended.
        log("warn", "could not record the end of a sandbox", { jobID, sandboxID: sandbox.id, reason: String(error) });
      }
    });
  }

  async function terminate(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox): Promise<void> {
    try {
      await sandbox.terminate();
      recordEnding(sessionJobs, jobID, sandbox);
    } catch (error) {
      log("error", "could not end a sandbox", { jobID, sandboxID: sandbox.id, reason: String(error) });
      if (suspended) return;
      sessionJobs.update(jobID, (job) =>
        withUnfinished(job, "its sandbox could not be ended, which is tried again", error),
      );
      const cancel = clock.after(TERMINATE_RETRY_MS, () => {
        retries.delete(cancel);
        void operations.run(jobID, async () => {
          await meter.measure(sessionJobs, jobID, sandbox);
          await terminate(sessionJobs, jobID, sandbox);
        });
      });
      retries.add(cancel);
    }
  }

  return {
    get: (jobID) => live.get(jobID)?.tracked.sandbox ?? null,
    raw: (jobID) => live.get(jobID)?.raw,
    pendingSince: (jobID) => live.get(jobID)?.tracked.pendingSince() ?? null,
    isUnterminated: (jobID) => notEnded.has(jobID),
    adopt,
    handOver,
    release: forget,
    ...meter,
    charge: charges.charge,
    chargeLeft: charges.chargeLeft,
    recordTerminated,
    recordEnding,
    terminate,
    clearAway,
    forgetOlderWork,
    operations,
    async suspend() {
      suspended = true;
      for (const cancel of retries) cancel();
      charges.recordAll();
      for (const { stopSampling } of live.values()) stopSampling();
      await operations.settled();
      charges.recordAll();
      live.clear();
    },
  };
}
