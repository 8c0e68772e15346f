import { formatGpu } from "../../config/gpu.ts";
import { decideLinger, withoutBurst } from "../../core/burst.ts";
import { measureCompute } from "../../core/cost.ts";
import type { Limits } from "../../core/limits.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import { within } from "../../shared/time-limit.ts";
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
  isGivenUp: boolean;
  stopLooking: () => void;
  stopSampling: () => void;
}

export interface HeldGpusDeps {
  readonly places: Pick<GpuPlaces, "release" | "isWaitedFor">;
  readonly pool: Pick<PoolStore, "deleteSandbox">;
  readonly limits: Pick<Limits, "meteredUsd">;
  /** How long GPUs wait for the next command, milliseconds. */
  readonly lingerMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

const END_MS = 60_000;
const END_RETRY_MS = 60_000;

/** The sandboxes with GPUs that this process holds, of which each job has one at most. */
export function createHeldGpus({ places, pool, limits, lingerMs, clock, log }: HeldGpusDeps) {
  const held = new Map<string, Held>();
  const gpuSampler = createGpuSampler({ clock, log });
  let suspended = false;

  function hold(one: Omit<Held, "idleSince" | "isGivenUp" | "stopLooking" | "stopSampling" | "hasEnded">): Held {
    let hasEnded = false;
    const made: Held = {
      ...one,
      hasEnded: () => hasEnded,
      idleSince: null,
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

  /** No command uses it any more. It stays for the next one, or is given up. */
  async function release(one: Held, isLast: boolean): Promise<void> {
    if (isLast || suspended || lingerMs <= 0 || one.hasEnded()) return giveUp(one);
    one.idleSince = clock.now();
    const idle = { doing: "idle", command: "" } as const;
    one.sessionJobs.update(one.jobID, (job) => (job.burst ? { ...job, burst: { ...job.burst, ...idle } } : job));
    look(one);
  }

  function look(one: Held): void {
    one.stopLooking();
    if (one.idleSince === null || one.isGivenUp) return;
    const decision = decideLinger({ idleSince: one.idleSince, lingerMs, isWaitedFor: isWaitedFor(one) }, clock.now());
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

  /** Ends the sandbox, and frees its GPUs once it has ended. Never rejects. */
  async function giveUp(one: Held): Promise<void> {
    const { sessionJobs, jobID, sandbox, place } = one;
    if (one.isGivenUp) return;
    one.isGivenUp = true;
    one.stopSampling();
    one.idleSince = null;
    one.stopLooking();
    if (held.get(jobID) === one) held.delete(jobID);
    await measure(one);
    try {
      await sandbox.terminate();
    } catch (error) {
      // Its tags say whose it is: if this process dies, the next one ends it.
      log("error", "could not end a sandbox with a GPU", { jobID, sandboxID: sandbox.id, reason: String(error) });
      if (suspended) return;
      clock.after(END_RETRY_MS, () => {
        one.isGivenUp = false;
        void giveUp(one);
      });
      return;
    }
    await within(sandbox.ended, { clock, limitMs: suspended ? 0 : END_MS, doing: "Ending a sandbox" }).catch(() => {});
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
    /** Gives up what no command uses and somebody waits for. */
    look(): void {
      for (const one of [...held.values()]) look(one);
    },
    async suspend(): Promise<void> {
      suspended = true;
      await Promise.all([...held.values()].filter(({ idleSince }) => idleSince !== null).map(giveUp));
    },
  };
}

export type HeldGpus = ReturnType<typeof createHeldGpus>;
