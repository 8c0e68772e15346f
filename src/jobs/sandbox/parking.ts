import type { ProviderName } from "../../config/provider-names.ts";
import { isHeld, type Job } from "../../core/job.ts";
import { withNotes, withUnfinished } from "../../core/job-notes.ts";
import type { SnapshotRecord } from "../../core/snapshot-record.ts";
import type { Sandbox, SandboxProvider } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import type { ProjectTrees } from "../project/trees.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import { untilWritten } from "../session/until-written.ts";
import type { PoolStore } from "../store/pool-store.ts";
import { type AttachDeps, attachSandbox } from "./attach.ts";
import type { LiveSandboxes } from "./live-sandboxes.ts";
import { createParkAttempts, PARK_RETRY_MS, snapshotLossNote } from "./park-attempts.ts";
import { createParkTimers } from "./park-timers.ts";
import type { Snapshots } from "./snapshots.ts";

/** Parks sandboxes: takes a snapshot of each, then terminates it. */
export interface Parking {
  /**
   * Parks the job's sandbox: the one way a sandbox is given up on purpose. Never rejects.
   * @param end change to a job that still runs, saved together with its parked sandbox
   */
  park(sessionJobs: SessionJobs, jobID: string, end?: (job: Job) => Job): Promise<void>;
  /** Parks the sandbox after `afterMs`, unless its timer is set again or stopped first. */
  parkLater(sessionJobs: SessionJobs, jobID: string, afterMs: number): void;
  /** Parks the sandbox before its session is closed. If no snapshot can be taken now, the sandbox stays as it is. */
  parkOnce(sessionJobs: SessionJobs, jobID: string): Promise<void>;
  /**
   * Parks now every sandbox whose park timer is set, because a queued job wants the slot or the GPU.
   * @param isSpared jobs whose sandboxes hold neither and are to be used
   */
  parkWaiting(isSpared?: (jobID: string) => boolean): void;
  /** Stops the timer of a job whose sandbox is in use again. */
  stopTimer(jobID: string): void;
  /** The same as `park`, for callers that already run as an operation on this job's sandbox. */
  parkNow(sessionJobs: SessionJobs, jobID: string): Promise<void>;
  /** The job's sandbox, also one that a former process left; null when there is none or it is lost. */
  getOrAttach(sessionJobs: SessionJobs, job: Job): Promise<Sandbox | null>;
  /**
   * Parks now every sandbox whose park timer is set, without retries, and sets no timer after that. Then await
   * `operations.settled()`.
   */
  suspend(): void;
}

export interface ParkingDeps extends AttachDeps {
  readonly pool: PoolStore;
  /** Names this process. */
  readonly owner: string;
  readonly provider: (name: ProviderName) => Promise<SandboxProvider>;
  readonly liveSandboxes: LiveSandboxes;
  readonly snapshots: Snapshots;
  readonly trees: ProjectTrees;
  readonly clock: Clock;
  readonly log: Log;
}

export function createParking(deps: ParkingDeps): Parking {
  const { pool, owner, liveSandboxes, snapshots, trees, clock, log } = deps;
  const { operations } = liveSandboxes;
  const timers = createParkTimers(clock, (sessionJobs, jobID) => void runPark(sessionJobs, jobID, {}));
  const attempts = createParkAttempts(clock);
  let suspended = false;

  interface ParkOptions {
    readonly end?: ((job: Job) => Job) | undefined;
    /** Whether a failure is tried again later. */
    readonly retries?: boolean;
  }

  const runPark = (sessionJobs: SessionJobs, jobID: string, options: ParkOptions): Promise<void> =>
    operations
      .run(jobID, () => park(sessionJobs, jobID, options))
      .catch((error) => log("error", "could not park a sandbox", { jobID, reason: String(error) })); // the disk may be full

  async function getOrAttach(sessionJobs: SessionJobs, job: Job): Promise<Sandbox | null> {
    const known = liveSandboxes.raw(job.id);
    if (known || job.sandbox.kind !== "live" || isHeld(job.state)) return known ?? null;
    const attached = await attachSandbox(deps, await deps.provider(job.provider), job);
    if (attached)
      return liveSandboxes.adopt(sessionJobs, job, { sandbox: attached, notes: attached.notes, from: null }, null);
    await liveSandboxes.clearAway(sessionJobs, job.id, job.sandbox.id);
    return null;
  }

  async function park(
    sessionJobs: SessionJobs,
    jobID: string,
    { end, retries = true }: ParkOptions = {},
  ): Promise<void> {
    const job = sessionJobs.get(jobID);
    if (!job || (isHeld(job.state) && !end)) return; // woken meanwhile: it is parked after that run
    let sandbox: Sandbox | null = null;
    let isWorkKept = false;
    let isEnding = false;
    try {
      sandbox = await getOrAttach(sessionJobs, job);
      if (!sandbox) return;
      // A run's changes are read from its snapshot if they are asked for: most of hundreds never are.
      if (job.task.run === null) isWorkKept = await trees.saveChanges(job, sandbox);
      const ending = () => {
        isEnding = true;
        liveSandboxes.release(jobID);
      };
      const retired = await snapshots.retire(job, sandbox, ending);
      const snapshot = retired ?? (await freeze(sessionJobs, job, sandbox));
      liveSandboxes.release(jobID);
      attempts.forget(jobID);
      // Recorded first, so that whoever dies in between loses no files. Then nothing comes before the sandbox is asked to end.
      const parked = (current: Job): Job => {
        const now: Job = { ...current, sandbox: { kind: "parked", snapshotID: snapshot.id } };
        return end ? end(now) : now;
      };
      const what = { jobID, isOver: () => suspended };
      if (!(await untilWritten(() => sessionJobs.update(jobID, parked), deps, what))) return;
      await liveSandboxes.terminate(sessionJobs, jobID, sandbox);
      await snapshots.dropFormerParked(sessionJobs, job.id, snapshot.id);
    } catch (error) {
      log("error", "could not park a sandbox", { jobID, sandboxID: sandbox?.id, reason: String(error) });
      if (suspended) return;
      const isLost = error instanceof PluginError && error.code === "sandbox_lost";
      if (isLost) liveSandboxes.release(jobID);
      if (sandbox && !isEnding && (isLost || !liveSandboxes.raw(jobID)))
        return liveSandboxes.clearAway(sessionJobs, jobID, sandbox.id); // lost meanwhile
      if (attempts.fail(jobID) && sandbox) {
        isWorkKept ||= !isEnding && (await trees.saveChanges(job, sandbox));
        if (isWorkKept) return giveUp(sessionJobs, jobID, sandbox, error);
      }
      // The work is worth more than the slot: a sandbox without a snapshot stays as it is.
      if (retries) parkLater(sessionJobs, jobID, PARK_RETRY_MS);
      sessionJobs.update(jobID, (current) =>
        withUnfinished(current, "its sandbox could not be frozen, and is kept", error),
      );
    }
  }

  /** Takes the snapshot, and reads the meter meanwhile: once the job is parked, its sandbox is given up at once. */
  async function freeze(sessionJobs: SessionJobs, job: Job, sandbox: Sandbox): Promise<SnapshotRecord> {
    const measuring = liveSandboxes.measure(sessionJobs, job.id, sandbox);
    const snapshot = await snapshots.park(sessionJobs, job, sandbox);
    await measuring;
    return snapshot;
  }

  /** Terminates a sandbox of which no snapshot can be taken, once the changes in it are saved, and notes what is lost. */
  async function giveUp(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox, cause: unknown): Promise<void> {
    liveSandboxes.release(jobID);
    attempts.forget(jobID);
    sessionJobs.update(jobID, (current) =>
      withNotes({ ...current, sandbox: { kind: "gone" } }, [snapshotLossNote(cause)]),
    );
    await liveSandboxes.terminate(sessionJobs, jobID, sandbox);
  }

  function parkLater(sessionJobs: SessionJobs, jobID: string, afterMs: number): void {
    timers.stop(jobID);
    const job = sessionJobs.get(jobID);
    if (suspended || job?.sandbox.kind !== "live" || job.state.kind === "interrupted") return;
    try {
      pool.ownSandbox(job.sandbox.id, owner);
    } catch (error) {
      log("warn", "could not record who parks a sandbox", { jobID, reason: String(error) }); // the disk may be full
    }
    timers.set(sessionJobs, jobID, afterMs);
  }

  return {
    park(sessionJobs, jobID, end) {
      timers.stop(jobID);
      return runPark(sessionJobs, jobID, { end });
    },
    parkLater,
    parkOnce(sessionJobs, jobID) {
      timers.stop(jobID);
      return runPark(sessionJobs, jobID, { retries: false });
    },
    parkWaiting(isSpared) {
      for (const { sessionJobs, jobID } of timers.stopAll(isSpared)) void runPark(sessionJobs, jobID, {});
    },
    stopTimer: timers.stop,
    parkNow: park,
    getOrAttach,
    suspend() {
      suspended = true;
      for (const { sessionJobs, jobID } of timers.stopAll()) void runPark(sessionJobs, jobID, { retries: false });
    },
  };
}
