import { formatGpu, type GpuRequest } from "../../config/gpu.ts";
import type { ProviderName, Sandbox, SandboxProvider } from "../../sandboxes/port.ts";
import { type Failure, PluginError } from "../../shared/error-code.ts";
import { createOneAtATime } from "../../shared/one-at-a-time.ts";
import { unlessAborted } from "../../shared/unless-aborted.ts";
import { type Compute, openCompute, settleCompute } from "../core/cost.ts";
import { isHeld, type Job, withFinished, withNotes, withUnfinished } from "../core/job.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { PoolStore } from "../store/pool-store.ts";
import type { MadeSandbox } from "./creation.ts";
import { createParkAttempts, PARK_RETRY_MS, toLoss } from "./park-attempts.ts";
import { createParkTimers } from "./park-timers.ts";
import { type TrackedSandbox, trackRequests } from "./pending-requests.ts";
import { createSandboxSources, type SandboxSourcesDeps } from "./sources.ts";

/** Gives jobs their sandboxes and takes them back: the only place that creates, revives, parks or ends one. */
export interface SandboxLifecycle {
  /** The job's live sandbox: the one it has, else revived, else new. @throws PluginError */
  obtain(sessionJobs: SessionJobs, jobID: string, signal: AbortSignal): Promise<Sandbox>;
  /** The live sandbox of this process, if there is one. */
  live(jobID: string): Sandbox | null;
  /** Whether a sandbox of this process has not been ended yet, live or not. */
  isUnterminated(jobID: string): boolean;
  /** Lets `use` have the sandbox, or null, while nothing else is done to it; one that had to be attached is parked then. */
  withSandbox<T>(sessionJobs: SessionJobs, jobID: string, use: (sandbox: Sandbox | null) => Promise<T>): Promise<T>;
  /** Parks the sandbox after `afterMs`, unless it is obtained again before. */
  parkLater(sessionJobs: SessionJobs, jobID: string, afterMs: number): void;
  /**
   * Freezes the sandbox and ends it: the one way a sandbox is given up on purpose. Never rejects.
   * @param end what becomes of a job that still runs, in the same moment
   */
  park(sessionJobs: SessionJobs, jobID: string, end?: (job: Job) => Job): Promise<void>;
  /** Freezes the files of a running job, so that its sandbox can be lost. Never rejects. */
  checkpoint(sessionJobs: SessionJobs, jobID: string): Promise<void>;
  /** Since when the job's sandbox owes an answer; null when it does not. */
  pendingSince(jobID: string): number | null;
  /** The same for a book that is about to be closed: a sandbox that cannot be frozen now stays as it is. */
  parkOnce(sessionJobs: SessionJobs, jobID: string): Promise<void>;
  /** Parks whatever waits for its time now, because a queued job wants the room. */
  parkWaiting(): void;
  /** Ends sandboxes without keeping anything: their session is deleted. */
  discard(sessionJobs: SessionJobs, jobID: string): Promise<void>;
  /** Parks what waits for its time, and waits for work under way; sandboxes of jobs that go on later stay as they are. */
  suspend(): Promise<void>;
}

export interface SandboxLifecycleDeps extends SandboxSourcesDeps {
  readonly provider: (name: ProviderName) => Promise<SandboxProvider>;
  readonly pool: PoolStore;
  /** A job's sandbox is no more. */
  readonly onEnded: (jobID: string) => void;
}

export function createSandboxLifecycle(deps: SandboxLifecycleDeps): SandboxLifecycle {
  const sources = createSandboxSources(deps);
  const live = new Map<string, Sandbox>();
  /** What tools are given in place of them. */
  const timed = new Map<string, TrackedSandbox>();
  const timers = createParkTimers(
    deps.clock,
    (sessionJobs, jobID) => void queue.run(jobID, () => park(sessionJobs, jobID)),
  );
  const tries = createParkAttempts(deps.clock);
  /** Per job: a follow-up that meets a parking waits for it, then revives. */
  const queue = createOneAtATime();
  /** Jobs whose sandbox has not been ended. */
  const unterminated = new Set<string>();
  /** Endings that failed and wait for another try. */
  const retries = new Set<() => void>();
  let suspended = false;

  /** @param madeAt when it was asked for; null of one found again, which has the ports and costs it was made with */
  function adopt(sessionJobs: SessionJobs, job: Job, { sandbox, notes }: MadeSandbox, madeAt: number | null): Sandbox {
    const granted = sandbox.gpu?.granted ?? null;
    live.set(job.id, sandbox);
    timed.set(job.id, trackRequests(sandbox, deps.clock));
    unterminated.add(job.id);
    deps.pool.insertSandbox(sandbox.id, job.provider, job.id, job.orchestrator, deps.clock.now());
    sessionJobs.update(job.id, (current) => ({
      ...withNotes(current, notes),
      sandbox: { kind: "live", id: sandbox.id },
      gpu: granted ? formatGpu(granted) : current.gpu,
      ports: madeAt === null ? current.ports : sandbox.ports,
      compute: madeAt === null ? current.compute : begin(current, granted, madeAt),
    }));
    void sandbox.ended.then((failure) => {
      if (live.get(job.id) !== sandbox || suspended) return;
      live.delete(job.id);
      if (!failure) return forget(sessionJobs, job.id, sandbox.id);
      deps.log("warn", "a sandbox ended by itself", { jobID: job.id, sandboxID: sandbox.id, reason: failure.message });
      sessionJobs.update(job.id, (current) => ({ ...current, sandbox: { kind: "gone" } }));
      void queue.run(job.id, () => clearAway(sessionJobs, job, sandbox, failure));
    });
    return sandbox;
  }

  /** Keeps what a lost sandbox left, where it left something and can be trusted with the room, and removes the rest. */
  async function clearAway(sessionJobs: SessionJobs, job: Job, sandbox: Sandbox, failure: Failure): Promise<void> {
    const lost = { jobID: job.id, sandboxID: sandbox.id };
    try {
      if (failure.retryable !== false) {
        const { id: snapshotID } = await deps.snapshots.parkAnew(sessionJobs, job, sandbox);
        sessionJobs.update(job.id, (current) => ({ ...current, sandbox: { kind: "parked", snapshotID } }));
      }
    } catch (error) {
      deps.log("warn", "nothing is left of a lost sandbox", { ...lost, reason: String(error) });
    }
    await forgetOlderWork(job);
    await endFor(sessionJobs, job.id, sandbox);
  }

  /** What was kept apart before is older than the snapshot, and would be taken for the newest. */
  async function forgetOlderWork(job: Job): Promise<void> {
    if (!deps.snapshots.newestOf(job)) return;
    await deps.trees.forgetWork(job).catch((error) => {
      deps.log("warn", "could not forget older work of a job", { jobID: job.id, reason: String(error) });
    });
  }

  function begin(job: Job, gpu: GpuRequest | null, madeAt: number): Compute {
    const { limits, clock } = deps;
    return openCompute(job.compute, limits.rate(job, gpu), clock.now(), limits.sandboxUntil(job, madeAt));
  }

  function forget(sessionJobs: SessionJobs, jobID: string, sandboxID: string): void {
    sessionJobs.update(jobID, (job) => ({ ...job, compute: settleCompute(job.compute, deps.clock.now()) }));
    deps.pool.deleteSandbox(sandboxID);
    unterminated.delete(jobID);
    deps.onEnded(jobID);
  }

  /** Ends a sandbox whose files are kept, or lost. One that could not be ended stays known, and is tried again. */
  async function endFor(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox): Promise<void> {
    try {
      await sandbox.terminate();
      forget(sessionJobs, jobID, sandbox.id);
      sessionJobs.update(jobID, withFinished);
    } catch (error) {
      deps.log("error", "could not end a sandbox", { jobID, sandboxID: sandbox.id, reason: String(error) });
      if (suspended) return;
      sessionJobs.update(jobID, (job) =>
        withUnfinished(job, "its sandbox could not be ended, which is tried again", error),
      );
      const retry = deps.clock.after(PARK_RETRY_MS, () => {
        retries.delete(retry);
        void queue.run(jobID, () => endFor(sessionJobs, jobID, sandbox));
      });
      retries.add(retry);
    }
  }

  async function obtain(sessionJobs: SessionJobs, jobID: string, signal: AbortSignal): Promise<Sandbox> {
    const job = sessionJobs.get(jobID);
    if (!job) throw new Error(`no job ${jobID}`);
    if (signal.aborted) throw new PluginError("cancelled", `${jobID} was stopped before it had a sandbox.`);
    const known = live.get(jobID);
    if (known) return known;
    const provider = await deps.provider(job.provider);
    const attached = await sources.attach(provider, job);
    if (attached) return adopt(sessionJobs, job, { sandbox: attached, notes: attached.notes }, null);
    const isNew = job.sandbox.kind === "none" || job.sandbox.kind === "creating";
    const madeAt = deps.clock.now();
    if (!isNew) return adopt(sessionJobs, job, await sources.revive(provider, job, signal), madeAt);
    sessionJobs.update(jobID, (current) => ({ ...current, sandbox: { kind: "creating" } }));
    try {
      return adopt(sessionJobs, job, await sources.first(sessionJobs, provider, job, signal), madeAt);
    } catch (error) {
      sessionJobs.update(jobID, (current) => ({ ...current, sandbox: { kind: "none" } }));
      throw error;
    }
  }

  /** The job's sandbox, also one that a former process left behind; null when there is none or it is lost. */
  async function reach(sessionJobs: SessionJobs, job: Job): Promise<Sandbox | null> {
    const known = live.get(job.id);
    if (known || job.sandbox.kind !== "live" || isHeld(job.state)) return known ?? null;
    const attached = await sources.attach(await deps.provider(job.provider), job);
    if (attached) return adopt(sessionJobs, job, { sandbox: attached, notes: attached.notes }, null);
    forget(sessionJobs, job.id, job.sandbox.id);
    sessionJobs.update(job.id, (current) => ({ ...current, sandbox: { kind: "gone" } }));
    await forgetOlderWork(job);
    return null;
  }

  async function park(
    sessionJobs: SessionJobs,
    jobID: string,
    end?: (job: Job) => Job,
    tryAgain = true,
  ): Promise<void> {
    const job = sessionJobs.get(jobID);
    if (!job || (isHeld(job.state) && !end)) return; // J4: it was woken meanwhile, and is parked after that run
    let sandbox: Sandbox | null = null;
    let isWorkKept = false;
    try {
      sandbox = await reach(sessionJobs, job);
      if (!sandbox) return;
      isWorkKept = await deps.trees.keep(job, sandbox);
      const snapshot = await deps.snapshots.park(sessionJobs, job, sandbox);
      live.delete(jobID);
      tries.forget(jobID);
      sessionJobs.update(jobID, (current) => {
        const parked: Job = { ...current, sandbox: { kind: "parked", snapshotID: snapshot.id } };
        return end ? end(parked) : parked;
      });
      await endFor(sessionJobs, jobID, sandbox);
      await deps.snapshots.dropFormerParked(sessionJobs, job.id, snapshot.id);
    } catch (error) {
      deps.log("error", "could not park a sandbox", { jobID, sandboxID: sandbox?.id, reason: String(error) });
      if (suspended) return;
      if (tries.fail(jobID) && sandbox && isWorkKept) return giveUp(sessionJobs, jobID, sandbox, error);
      // The work is worth more than the room: a sandbox that could not be frozen stays as it is.
      sessionJobs.update(jobID, (current) =>
        withUnfinished(current, "its sandbox could not be frozen, and is kept", error),
      );
      if (tryAgain) parkLater(sessionJobs, jobID, PARK_RETRY_MS);
    }
  }

  /** Ends a sandbox that cannot be frozen once its changes are kept apart, and says what is lost with it. */
  async function giveUp(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox, cause: unknown): Promise<void> {
    live.delete(jobID);
    tries.forget(jobID);
    sessionJobs.update(jobID, (current) => withNotes({ ...current, sandbox: { kind: "gone" } }, [toLoss(cause)]));
    await endFor(sessionJobs, jobID, sandbox);
  }

  function parkLater(sessionJobs: SessionJobs, jobID: string, afterMs: number): void {
    timers.stop(jobID);
    const job = sessionJobs.get(jobID);
    if (suspended || job?.sandbox.kind !== "live" || job.state.kind === "interrupted") return;
    timers.set(sessionJobs, jobID, afterMs);
  }

  return {
    obtain(sessionJobs, jobID, signal) {
      timers.stop(jobID);
      // What it waits for may take long to answer. A sandbox that comes late is the job's all the same, and parked.
      const obtained = queue.run(jobID, async () => {
        const sandbox = await obtain(sessionJobs, jobID, signal);
        if (signal.aborted) parkLater(sessionJobs, jobID, 0);
        return sandbox;
      });
      return unlessAborted(obtained, signal, "it had a sandbox");
    },
    live: (jobID) => (live.has(jobID) ? (timed.get(jobID)?.sandbox ?? null) : null),
    pendingSince: (jobID) => (live.has(jobID) ? (timed.get(jobID)?.pendingSince() ?? null) : null),
    isUnterminated: (jobID) => unterminated.has(jobID),
    withSandbox: (sessionJobs, jobID, use) =>
      queue.run(jobID, async () => {
        const job = sessionJobs.get(jobID);
        const wasLive = live.has(jobID);
        try {
          return await use(job ? await reach(sessionJobs, job) : null);
        } finally {
          if (!wasLive) await park(sessionJobs, jobID);
        }
      }),
    parkLater,
    park(sessionJobs, jobID, end) {
      timers.stop(jobID);
      return queue.run(jobID, () => park(sessionJobs, jobID, end));
    },
    checkpoint: (sessionJobs, jobID) =>
      queue.run(jobID, async () => {
        const [job, sandbox] = [sessionJobs.get(jobID), live.get(jobID)];
        if (!job || !sandbox || !isHeld(job.state)) return;
        try {
          await deps.snapshots.parkAnew(sessionJobs, job, sandbox);
          sessionJobs.update(jobID, withFinished);
        } catch (error) {
          deps.log("warn", "could not freeze a running job", { jobID, sandboxID: sandbox.id, reason: String(error) });
          sessionJobs.update(jobID, (current) =>
            withUnfinished(current, "its files could not be frozen as it runs", error),
          );
        }
      }),
    parkOnce(sessionJobs, jobID) {
      timers.stop(jobID);
      return queue.run(jobID, () => park(sessionJobs, jobID, undefined, false));
    },
    parkWaiting() {
      for (const { sessionJobs, jobID } of timers.stopAll()) void queue.run(jobID, () => park(sessionJobs, jobID));
    },
    discard(sessionJobs, jobID) {
      timers.stop(jobID);
      return queue.run(jobID, async () => {
        const job = sessionJobs.get(jobID);
        const sandbox = live.get(jobID);
        live.delete(jobID);
        try {
          if (sandbox) await sandbox.terminate();
          else if (job?.sandbox.kind === "live") await (await deps.provider(job.provider)).terminate(job.sandbox.id);
          if (job?.sandbox.kind === "live") forget(sessionJobs, jobID, job.sandbox.id);
        } catch (error) {
          // It stays recorded: without its job the next sweep ends it.
          deps.log("error", "could not end a sandbox", { jobID, reason: String(error) });
        }
        sessionJobs.update(jobID, (current) => ({ ...current, sandbox: { kind: "gone" } }));
      });
    },
    async suspend() {
      suspended = true;
      for (const cancel of retries) cancel();
      for (const { sessionJobs, jobID } of timers.stopAll()) {
        void queue.run(jobID, () => park(sessionJobs, jobID, undefined, false)); // nobody is left to do it in time
      }
      await queue.settled();
      live.clear(); // what ends from now on is no business of ours: the stores are about to be closed
    },
  };
}
