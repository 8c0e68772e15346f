import type { GpuRequest } from "../../config/gpu.ts";
import { waitedSince } from "../../core/gpu-wait.ts";
import { isHeld, type Job } from "../../core/job.ts";
import { withFinished, withUnfinished } from "../../core/job-notes.ts";
import { unlessAborted } from "../../core/unless-aborted.ts";
import type { CreationStep } from "../../sandboxes/creation-steps.ts";
import type { ListedSandbox, Sandbox } from "../../sandboxes/port.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { OldFiles } from "../project/old-files.ts";
import type { LocalQueue } from "../queue/local-queue.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import type { SessionRegistry } from "../session/session-registry.ts";
import { createAhead } from "./ahead.ts";
import { attachSandbox } from "./attach.ts";
import { unlessAway } from "./back-to-queue.ts";
import { createFirstSandbox, reviveSandbox, type SourcesDeps } from "./create-or-revive.ts";
import { type ExpectedSandbox, expectedSandbox } from "./expected-sandbox.ts";
import type { LiveSandboxes } from "./live-sandboxes.ts";
import type { Parking, ParkingDeps } from "./parking.ts";
import type { PriceList } from "./price-list.ts";
import { createTakeovers, OFFER_MS } from "./takeovers.ts";
import { handOverWarm } from "./warm/hand-over.ts";
import type { WarmPool } from "./warm/warm-pool.ts";

/** Gives jobs their sandboxes and takes them back: everything that creates, revives, parks or terminates one starts here. */
export interface SandboxLifecycle
  extends Pick<Parking, "park" | "parkLater" | "parkWaiting">,
    Pick<LiveSandboxes, "pendingSince" | "isUnterminated"> {
  /** The job's live sandbox: the one it has, else revived, else new. @throws PluginError */
  obtain(sessionJobs: SessionJobs, jobID: string, signal: AbortSignal): Promise<Sandbox>;
  /** The sandbox that `obtain` is getting for the job; null when it is getting none. */
  making(jobID: string): Promise<Sandbox> | null;
  /** The files that may be read before that, once there are such; it may never resolve. null as above. */
  oldFiles(jobID: string): Promise<OldFiles> | null;
  /** What an agent can be told of its sandbox before that is there; null where only the sandbox itself will tell. */
  expected(sessionJobs: SessionJobs, jobID: string): Promise<ExpectedSandbox | null>;
  /** The queue has changed: the sandboxes of those that are next may be made. Returns at once. */
  lookAhead(): void;
  /** Another process runs the job, which was queued here. */
  dropAhead(jobID: string): void;
  /** What the creation of the job's sandbox is doing; null when none is under way here, or nothing is known. */
  creating(jobID: string): CreationStep | null;
  /** The live sandbox of the job in this process; null when there is none. */
  live(jobID: string): Sandbox | null;
  /** Runs `use` with exclusive access; null = no sandbox. A sandbox attached only for this is parked afterwards. */
  withSandbox<T>(sessionJobs: SessionJobs, jobID: string, use: (sandbox: Sandbox | null) => Promise<T>): Promise<T>;
  /** Waits for the operations on the job's sandbox, such as keeping the last files of one that was lost. Never rejects. */
  settled(jobID: string): Promise<void>;
  /** Keeps the last files of a sandbox that was lost, for callers within `withSandbox`. Never rejects. */
  clearAway(sessionJobs: SessionJobs, jobID: string, sandboxID: string): Promise<void>;
  /** Takes a snapshot of a running job, in case its sandbox is lost. Never rejects. */
  checkpoint(sessionJobs: SessionJobs, jobID: string): Promise<void>;
  /** Terminates the sandbox without keeping anything: its session is deleted. Never rejects. */
  discard(sessionJobs: SessionJobs, jobID: string): Promise<void>;
  /**
   * Parks now every sandbox whose park timer is set, and waits for operations under way. Sandboxes of jobs that go on
   * later stay.
   */
  suspend(): Promise<void>;
}

export interface SandboxLifecycleDeps extends Omit<SourcesDeps, "pool" | "charge" | "chargeLeft">, ParkingDeps {
  readonly warm: WarmPool;
  readonly parking: Parking;
  readonly prices: Pick<PriceList, "read">;
  readonly localQueue: Pick<LocalQueue, "all" | "isBlocked">;
  readonly registry: Pick<SessionRegistry, "onChange">;
}

export function createSandboxLifecycle(deps: SandboxLifecycleDeps): SandboxLifecycle {
  const { liveSandboxes, parking, clock, log } = deps;
  /** One job's operations run one after another: a follow-up that meets a parking waits for it, then revives. */
  const { operations } = liveSandboxes;
  const takeovers = createTakeovers({
    ...deps,
    stopTimer: parking.stopTimer,
    park: (sessionJobs, jobID) => parking.parkLater(sessionJobs, jobID, 0),
  });
  /** By job id. */
  const making = new Map<string, { readonly made: Promise<Sandbox>; readonly oldFiles: Promise<OldFiles> }>();
  /** What creations under way are doing, by job id. */
  const steps = new Map<string, CreationStep>();

  const ahead = createAhead({
    ...deps,
    queue: () => deps.localQueue.all().filter((job) => !deps.localQueue.isBlocked(job)),
    make: async (sessionJobs, job, signal) => {
      const provider = await deps.provider(job.provider);
      return createFirstSandbox(sourcesFor(sessionJobs, job.id), sessionJobs, provider, job, signal);
    },
    others: () => making.size,
  });

  /** What making a sandbox of the job charges it with. */
  const sourcesFor = (sessionJobs: SessionJobs, jobID: string) => ({
    ...deps,
    charge: (sandbox: Sandbox, gpu: GpuRequest | null) => liveSandboxes.charge(sessionJobs, jobID, sandbox, gpu),
    chargeLeft(left: ListedSandbox) {
      const isCounted = deps.pool.sandboxes().some(({ id }) => id === left.id);
      if (!isCounted && deps.pool.claimLastCharge(left.id)) liveSandboxes.chargeLeft(sessionJobs, jobID, left);
    },
  });

  function noteStep(sessionJobs: SessionJobs, jobID: string, step: CreationStep): void {
    steps.set(jobID, step);
    if (step.kind === "limited") deps.warm.clear(step.why);
    const job = sessionJobs.get(jobID);
    if (step.kind !== "waiting" || job?.gpuWait?.retryAt === null || !job || !isHeld(job.state)) return;
    const since = waitedSince(job.gpuWait, false, step.since);
    sessionJobs.update(jobID, (current) => ({ ...current, gpuWait: { since, retryAt: null, isUnreachable: false } }));
  }

  async function obtain(
    sessionJobs: SessionJobs,
    jobID: string,
    signal: AbortSignal,
    onOldFiles: (files: OldFiles) => void,
  ): Promise<Sandbox> {
    let job = requireJob(sessionJobs, jobID);
    if (signal.aborted) throw new PluginError("cancelled", `${jobID} was stopped before it had a sandbox.`);
    const known = liveSandboxes.raw(jobID);
    if (known) return known;
    const provider = await deps.provider(job.provider);
    if (job.task.run?.measures) job = await startOver(sessionJobs, job);
    const attached = await attachSandbox(deps, provider, job, deps.leases.machineGpusOf(jobID)?.devices);
    if (attached)
      return liveSandboxes.adopt(sessionJobs, job, { sandbox: attached, notes: attached.notes, from: null }, null);
    if (job.sandbox.kind === "live") await liveSandboxes.clearAway(sessionJobs, jobID, job.sandbox.id);
    job = requireJob(sessionJobs, jobID);
    await deps.prices.read(provider); // its cost counts from the beginning
    const onStep = (step: CreationStep) => noteStep(sessionJobs, jobID, step);
    const sources = { ...sourcesFor(sessionJobs, jobID), onStep, onOldFiles };
    // One that was lost before its agent was prompted held nothing.
    const isUnused = job.turns === 0 && job.sandbox.kind === "gone" && deps.snapshots.newestOf(job) === null;
    const isFirst = job.sandbox.kind === "none" || job.sandbox.kind === "creating" || isUnused;
    const madeAt = clock.now();
    if (!isFirst)
      return liveSandboxes.adopt(sessionJobs, job, await reviveSandbox(sources, provider, job, signal), madeAt);
    const given = await takeovers.takeOver(sessionJobs, jobID);
    if (given) return given;
    sessionJobs.update(jobID, (current) => ({ ...current, sandbox: { kind: "creating" } }));
    deps.warm.started(job);
    try {
      const { devices = null } = deps.leases.machineGpusOf(jobID) ?? {};
      const early = await ahead.take(jobID);
      const warm = early ? null : await handOverWarm(sources, sessionJobs, job, devices, signal);
      const made = early ?? warm?.made ?? (await createFirstSandbox(sources, sessionJobs, provider, job, signal));
      const sandbox = liveSandboxes.adopt(sessionJobs, job, made, madeAt);
      if (warm) deps.warm.given(warm.id, jobID);
      await takeovers.prepare(job, made);
      return sandbox;
    } catch (error) {
      sessionJobs.update(jobID, (current) => ({ ...current, sandbox: { kind: "none" } }));
      throw error;
    }
  }

  /**
   * A measurement never goes on with files that a command has run on: what was to be measured may have changed them.
   * @returns the run without a sandbox
   */
  async function startOver(sessionJobs: SessionJobs, job: Job): Promise<Job> {
    if (job.sandbox.kind === "none") return job;
    if (job.sandbox.kind === "live") {
      await (await deps.provider(job.provider)).terminate(job.sandbox.id);
      liveSandboxes.recordTerminated(sessionJobs, job.id, job.sandbox.id);
    }
    sessionJobs.update(job.id, ({ loss, ...current }) => ({
      ...current,
      loss: loss && { ...loss, files: { kind: "none" } },
      sandbox: { kind: "none" },
    }));
    return requireJob(sessionJobs, job.id);
  }

  return {
    obtain(sessionJobs, jobID, signal) {
      parking.stopTimer(jobID);
      const { promise: oldFiles, resolve: onOldFiles } = Promise.withResolvers<OldFiles>();
      // A sandbox created after the abort still belongs to the job, and is parked.
      const obtained = operations.run(jobID, async () => {
        const sandbox = await obtain(sessionJobs, jobID, signal, onOldFiles)
          .catch((error) => {
            throw unlessAway(error, requireJob(sessionJobs, jobID), deps.limits, clock.now());
          })
          .finally(() => {
            steps.delete(jobID);
            deps.warm.release(jobID); // where it has another than what was set aside for it
          });
        if (signal.aborted) parking.parkLater(sessionJobs, jobID, 0);
        return sandbox;
      });
      const made = unlessAborted(obtained, signal, "it had a sandbox");
      making.set(jobID, { made, oldFiles });
      const forget = () => {
        if (making.get(jobID)?.made === made) making.delete(jobID);
        ahead.look();
      };
      made.then(forget, forget);
      return made;
    },
    making: (jobID) => making.get(jobID)?.made ?? null,
    oldFiles: (jobID) => making.get(jobID)?.oldFiles ?? null,
    async expected(sessionJobs, jobID) {
      const job = requireJob(sessionJobs, jobID);
      return expectedSandbox(deps, sessionJobs, await deps.provider(job.provider), job);
    },
    lookAhead: ahead.look,
    dropAhead: ahead.drop,
    creating: (jobID) => steps.get(jobID) ?? null,
    live: liveSandboxes.get,
    pendingSince: liveSandboxes.pendingSince,
    isUnterminated: liveSandboxes.isUnterminated,
    withSandbox: (sessionJobs, jobID, use) =>
      operations.run(jobID, async () => {
        const job = sessionJobs.get(jobID);
        const wasLive = liveSandboxes.raw(jobID) !== undefined;
        try {
          return await use(job ? await parking.getOrAttach(sessionJobs, job) : null);
        } finally {
          if (!wasLive) await parking.parkNow(sessionJobs, jobID);
        }
      }),
    settled: (jobID) => operations.run(jobID, async () => {}),
    clearAway: liveSandboxes.clearAway,
    park: parking.park,
    parkLater(sessionJobs, jobID, afterMs) {
      const isOffered = takeovers.offer(sessionJobs, jobID);
      parking.parkLater(sessionJobs, jobID, isOffered ? Math.max(afterMs, OFFER_MS) : afterMs);
    },
    parkWaiting: () => parking.parkWaiting(takeovers.isOffered),
    checkpoint: (sessionJobs, jobID) =>
      operations.run(jobID, async () => {
        const [job, sandbox] = [sessionJobs.get(jobID), liveSandboxes.raw(jobID)];
        if (!job || !sandbox || !isHeld(job.state)) return;
        try {
          await deps.snapshots.replaceParked(sessionJobs, job, sandbox);
          sessionJobs.update(jobID, withFinished);
          await liveSandboxes.measure(sessionJobs, jobID, sandbox);
        } catch (error) {
          log("warn", "could not take a snapshot of a running job", {
            jobID,
            sandboxID: sandbox.id,
            reason: String(error),
          });
          sessionJobs.update(jobID, (current) =>
            withUnfinished(current, "its files could not be frozen while it runs", error),
          );
        }
      }),
    discard(sessionJobs, jobID) {
      parking.stopTimer(jobID);
      ahead.drop(jobID);
      return operations.run(jobID, async () => {
        const job = sessionJobs.get(jobID);
        const sandbox = liveSandboxes.raw(jobID);
        liveSandboxes.release(jobID);
        try {
          if (sandbox) {
            await sandbox.terminate();
            liveSandboxes.recordEnding(sessionJobs, jobID, sandbox);
          } else if (job?.sandbox.kind === "live") {
            await (await deps.provider(job.provider)).terminate(job.sandbox.id);
            liveSandboxes.recordTerminated(sessionJobs, jobID, job.sandbox.id);
          }
        } catch (error) {
          // It stays recorded: without its job the next garbage collection terminates it.
          log("error", "could not end a sandbox", { jobID, reason: String(error) });
        }
        sessionJobs.update(jobID, (current) => ({ ...current, sandbox: { kind: "gone" } }));
      });
    },
    async suspend() {
      parking.suspend();
      await Promise.all([ahead.suspend(), liveSandboxes.suspend()]);
    },
  };
}
