import { formatGpu } from "../../config/gpu.ts";
import { withoutBurst } from "../../core/burst.ts";
import { measureCompute } from "../../core/cost.ts";
import type { Limits } from "../../core/limits.ts";
import { decideLinger } from "../../core/linger.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import { createGpuSampler } from "../sandbox/gpu-sampler.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { PoolStore } from "../store/pool-store.ts";
import type { BurstFiles } from "./burst-files.ts";
import type { GpuPlace, GpuPlaces } from "./gpu-places.ts";

/** A sandbox with GPUs that a job has for its commands. */
export interface Held {
  readonly sessionJobs: SessionJobs;
  readonly jobID: string;
  readonly place: GpuPlace;
  readonly sandbox: Sandbox;
  readonly files: BurstFiles;
  readonly hasEnded: () => boolean;
  /** Since when no command uses it, epoch ms; null = one does. */
  idleSince: number | null;
  /** How long it waits for the next one, milliseconds. */
  waitMs: number;
  isGivenUp: boolean;
  stopLooking: () => void;
  stopSampling: () => void;
}

export interface HeldGpusDeps {
  readonly places: Pick<GpuPlaces, "release" | "isWaitedFor">;
  readonly pool: Pick<PoolStore, "deleteSandbox">;
  readonly limits: Pick<Limits, "meteredUsd">;
  readonly clock: Clock;
  readonly log: Log;
}

const END_RETRY_MS = 60_000;

/** One that is given up: its GPUs are not free before its sandbox has ended. */
interface Ending {
  /** Whether the provider has accepted to end it, once it was asked. */
  readonly asked: Promise<void>;
  isAccepted: boolean;
  readonly ended: Promise<void>;
  recordEnd(): void;
}

/** The sandboxes with GPUs that this process holds, of which each job has one at most. */
export function createHeldGpus({ places, pool, limits, clock, log }: HeldGpusDeps) {
  const held = new Map<string, Held>();
  /** By job. */
  const endings = new Map<string, Ending>();
  const gpuSampler = createGpuSampler({ clock, log });
  let suspended = false;

  function hold(one: Pick<Held, "sessionJobs" | "jobID" | "place" | "sandbox" | "files">): Held {
    let hasEnded = false;
    const made: Held = {
      ...one,
      hasEnded: () => hasEnded,
      idleSince: null,
      waitMs: 0,
      isGivenUp: false,
      stopLooking: () => {},
      stopSampling: () => {},
    };
    const { sessionJobs, sandbox } = one;
    const job = sessionJobs.get(one.jobID);
    const isBusy = () => made.idleSince === null;
    if (job) made.stopSampling = gpuSampler.follow({ sessionJobs, job, sandbox, isBusy, isFoundAgain: false });
    held.set(one.jobID, made);
    void one.sandbox.ended.then(() => {
      hasEnded = true;
      if (made.idleSince !== null) void giveUp(made);
    });
    return made;
  }

  /** No command uses it any more: it waits for the next one, or is given up, whose end nobody waits for here. */
  async function release(one: Held, waitMs: number): Promise<void> {
    const idle = { doing: "idle", command: "" } as const;
    try {
      one.sessionJobs.update(one.jobID, (job) => (job.burst ? { ...job, burst: { ...job.burst, ...idle } } : job));
    } catch (error) {
      log("warn", "could not record that a GPU is idle", { jobID: one.jobID, reason: String(error) });
    }
    if (suspended || waitMs <= 0 || one.hasEnded()) {
      const asked = giveUp(one);
      if (suspended) await asked;
      return;
    }
    one.idleSince = clock.now();
    one.waitMs = waitMs;
    look(one);
  }

  function look(one: Held): void {
    one.stopLooking();
    const { idleSince, waitMs } = one;
    if (idleSince === null || one.isGivenUp) return;
    const decision = decideLinger({ idleSince, waitMs, isWaitedFor: isWaitedFor(one) }, clock.now());
    if (decision.kind === "give_up") void giveUp(one);
    else one.stopLooking = clock.after(decision.lookAgainMs, () => look(one));
  }

  function isWaitedFor({ place, jobID }: Held): boolean {
    try {
      return places.isWaitedFor(place);
    } catch (error) {
      log("warn", "could not see who waits for GPUs", { jobID, reason: String(error) });
      return false;
    }
  }

  /** Has the sandbox ended. Resolves when that was asked for: its GPUs and its cost count until it has ended. Never rejects. */
  function giveUp(one: Held): Promise<void> {
    const { jobID } = one;
    if (one.isGivenUp) return endings.get(jobID)?.asked ?? Promise.resolve();
    one.isGivenUp = true;
    one.stopSampling();
    one.idleSince = null;
    one.stopLooking();
    if (held.get(jobID) === one) held.delete(jobID);
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const ending: Ending = {
      asked: Promise.resolve().then(() => measure(one).then(() => askToEnd(one, ending))),
      isAccepted: false,
      ended,
      recordEnd() {
        if (endings.get(jobID) !== ending) return;
        endings.delete(jobID);
        recordEnded(one);
        resolve();
      },
    };
    endings.set(jobID, ending);
    return ending.asked;
  }

  async function askToEnd(one: Held, ending: Ending): Promise<void> {
    const { jobID, sandbox } = one;
    try {
      await sandbox.terminate();
      ending.isAccepted = true;
      if (suspended) ending.recordEnd();
      else void sandbox.ended.then(ending.recordEnd);
    } catch (error) {
      // Its tags say whose it is: if this process dies, the next one ends it.
      log("error", "could not end a sandbox with a GPU", { jobID, sandboxID: sandbox.id, reason: String(error) });
      clock.after(END_RETRY_MS, () => {
        if (!suspended) void askToEnd(one, ending);
      });
    }
  }

  function recordEnded({ sessionJobs, jobID, sandbox, place }: Held): void {
    try {
      forget(sessionJobs, jobID);
      pool.deleteSandbox(sandbox.id);
    } catch (error) {
      log("warn", "could not record the end of a sandbox", { jobID, sandboxID: sandbox.id, reason: String(error) });
    } finally {
      places.release(place);
    }
  }

  const forget = (sessionJobs: SessionJobs, jobID: string): void =>
    void sessionJobs.update(jobID, (job) => withoutBurst(job, clock.now()));

  /** Reads the meter while there is one. */
  async function measure({ sessionJobs, jobID, sandbox, place }: Held): Promise<void> {
    const usage = await sandbox.usage?.().catch(() => null);
    if (!usage) return;
    try {
      sessionJobs.update(jobID, (job) => {
        const { burst } = job.compute;
        const now = clock.now();
        const usd =
          burst?.since == null
            ? null
            : limits.meteredUsd({ ...job, gpu: formatGpu(place.gpu) }, usage, now - burst.since);
        return burst && usd !== null
          ? { ...job, compute: { ...job.compute, burst: measureCompute(burst, usd, now) } }
          : job;
      });
    } catch (error) {
      log("warn", "could not record what a sandbox has cost", { jobID, reason: String(error) });
    }
  }

  return {
    of: (jobID: string): Held | null => held.get(jobID) ?? null,
    hold,
    /** A command uses it from now on. */
    use(one: Held): void {
      one.stopLooking();
      one.idleSince = null;
    },
    release,
    giveUp,
    forget,
    /** Resolves when the one that the job has given up has ended; null = there is none. */
    ending: (jobID: string): Promise<void> | null => endings.get(jobID)?.ended ?? null,
    /** Gives up what no command uses and somebody waits for. */
    look(): void {
      for (const one of [...held.values()]) look(one);
    },
    async suspend(): Promise<void> {
      suspended = true;
      for (const one of held.values()) if (one.idleSince !== null) void giveUp(one);
      const all = [...endings.values()];
      await Promise.all(all.map(({ asked }) => asked));
      // The state files are about to be closed. One that could not be ended stays recorded, so that garbage collection does.
      for (const { isAccepted, recordEnd } of all) if (isAccepted) recordEnd();
    },
  };
}

export type HeldGpus = ReturnType<typeof createHeldGpus>;
