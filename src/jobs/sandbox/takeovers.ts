import type { Environment } from "../../config/environment.ts";
import type { Job } from "../../core/job.ts";
import { withLeftOut, withNotes } from "../../core/job-notes.ts";
import type { Limits } from "../../core/limits.ts";
import {
  folderKeptNote,
  gaveSandboxNote,
  leavesSandbox,
  livesLongEnough,
  reuseKey,
  takesSandbox,
  tookSandboxNote,
} from "../../core/sandbox-reuse.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import type { ProjectTrees } from "../project/trees.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import type { PoolStore } from "../store/pool-store.ts";
import type { MadeSandbox } from "./creation.ts";
import type { LiveSandboxes } from "./live-sandboxes.ts";
import type { Snapshots } from "./snapshots.ts";
import { lookAtLeftovers, recordBeginning, removeLeftovers } from "./tidy-sandbox.ts";

/** Gives the sandboxes of runs that have ended to other runs of their call. */
export interface Takeovers {
  /** Prepares the new sandbox of a run for the runs that may get it later. Never rejects. */
  prepare(job: Job, made: MadeSandbox): Promise<void>;
  /** Offers the sandbox of a run that has ended. @returns whether there is a run that may take it */
  offer(sessionJobs: SessionJobs, jobID: string): boolean;
  isOffered(jobID: string): boolean;
  /** Gives a run the sandbox of another that has ended, where one is offered, fits and can be tidied; else null. Never rejects. */
  takeOver(sessionJobs: SessionJobs, jobID: string): Promise<Sandbox | null>;
}

export interface TakeoversDeps {
  readonly pool: Pick<PoolStore, "insertSandbox">;
  readonly liveSandboxes: Pick<
    LiveSandboxes,
    "operations" | "raw" | "handOver" | "measure" | "beginAnew" | "release" | "terminate"
  >;
  readonly snapshots: Pick<Snapshots, "keepFolder">;
  readonly trees: Pick<ProjectTrees, "saveNoChanges">;
  readonly limits: Pick<Limits, "deadlines">;
  readonly environments: Readonly<Record<string, Environment>>;
  /** Keeps an offered sandbox from being parked meanwhile. */
  readonly stopTimer: (jobID: string) => void;
  /** Parks a sandbox that is not given on. */
  readonly park: (sessionJobs: SessionJobs, jobID: string) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long a sandbox is offered: whoever is to have it starts as soon as its run has ended. */
export const OFFER_MS = 5_000;

export function createTakeovers(deps: TakeoversDeps): Takeovers {
  const { pool, liveSandboxes, snapshots, trees, limits, clock, log } = deps;
  /** Sandboxes whose beginning is recorded, with the notes for the jobs in them. */
  const prepared = new WeakMap<Sandbox, readonly string[]>();
  const offers = new Map<string, { readonly sessionJobs: SessionJobs; readonly key: string }>();

  /** The oldest offer that fits. It is nobody else's from now on. */
  function claim(sessionJobs: SessionJobs, job: Job): Job | null {
    const key = reuseKey(job);
    if (key === null) return null;
    const { jobMs, rescueMs } = limits.deadlines(job);
    for (const [jobID, offer] of offers) {
      const from = sessionJobs.get(jobID);
      if (!from || !leavesSandbox(from) || !liveSandboxes.raw(jobID)) {
        offers.delete(jobID); // it was parked meanwhile
        continue;
      }
      const fits = offer.key === key && offer.sessionJobs.orchestrator === sessionJobs.orchestrator;
      if (!fits || !livesLongEnough(from.compute.until, jobMs + rescueMs, clock.now())) continue;
      offers.delete(jobID);
      deps.stopTimer(jobID);
      return from;
    }
    return null;
  }

  /** Keeps what the run has made, and takes away what it left. @returns what it has in place of its sandbox; null = it keeps it */
  async function tidy(sessionJobs: SessionJobs, fromID: string, toID: string, sandbox: Sandbox) {
    const from = requireJob(sessionJobs, fromID);
    const leftovers = await lookAtLeftovers(sandbox, clock);
    if (leftovers.kind === "changes") {
      log("info", "a run's sandbox is not given to the next one", { jobID: fromID, reason: leftovers.why });
      return null;
    }
    const names = leftovers.kind === "files" ? leftovers.names : [];
    const snapshot = names.length > 0 ? await snapshots.keepFolder(from, sandbox, sandbox.workdir) : null;
    if (!snapshot && !(await trees.saveNoChanges(from))) return null;
    const after: Job["sandbox"] = snapshot ? { kind: "parked", snapshotID: snapshot.id } : { kind: "gone" };
    if (snapshot) {
      // From here on the sandbox does not hold the run's files any more, whatever fails and whoever dies.
      const note = folderKeptNote(sandbox.workdir);
      sessionJobs.update(fromID, (job) => withNotes(withLeftOut({ ...job, sandbox: after }, snapshot.leftOut), [note]));
      // Or whoever collects garbage meanwhile would end a sandbox that its job does not name.
      const to = requireJob(sessionJobs, toID);
      pool.insertSandbox(sandbox.id, to.provider, toID, to.orchestrator, clock.now());
    }
    if (leftovers.kind === "files") await removeLeftovers(sandbox, names, clock);
    return after;
  }

  /** Others may have written to them since the former run began. @throws Error where they stay as they are */
  async function refreshVolumes({ task }: Job, { reloadVolumes: reload }: Sandbox): Promise<void> {
    if (reload === null || Object.keys(deps.environments[task.environment]?.volumes ?? {}).length === 0) return;
    const done = await reload();
    if (done.kind === "busy") throw new Error(`its volumes could not be reloaded: ${done.why}`);
  }

  async function give(sessionJobs: SessionJobs, fromID: string, toID: string): Promise<Sandbox | null> {
    const sandbox = liveSandboxes.raw(fromID);
    if (!sandbox) return null;
    // Its meter is read meanwhile, once for both, so that nothing is used between two readings.
    const measuring = liveSandboxes.measure(sessionJobs, fromID, sandbox);
    try {
      const after = await tidy(sessionJobs, fromID, toID, sandbox);
      const usage = await measuring;
      if (after) {
        await refreshVolumes(requireJob(sessionJobs, toID), sandbox);
        await liveSandboxes.beginAnew(sandbox, usage);
        if (liveSandboxes.raw(fromID) !== sandbox) return null; // lost meanwhile
        const notes = {
          from: [gaveSandboxNote(toID, sandbox.workdir, after.kind === "parked")],
          to: [...(prepared.get(sandbox) ?? []), tookSandboxNote(fromID)],
        };
        liveSandboxes.handOver(sessionJobs, requireJob(sessionJobs, fromID), requireJob(sessionJobs, toID), {
          notes,
          after,
        });
        return sandbox;
      }
    } catch (error) {
      log("warn", "could not give a run's sandbox to the next one", { jobID: fromID, reason: String(error) });
    }
    await measuring;
    await takeBack(sessionJobs, fromID, sandbox);
    return null;
  }

  /** Parks a sandbox that was not given on, or ends it if the run's files are kept already. */
  async function takeBack(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox): Promise<void> {
    if (requireJob(sessionJobs, jobID).sandbox.kind === "live") return deps.park(sessionJobs, jobID);
    if (liveSandboxes.raw(jobID) !== sandbox) return; // lost meanwhile, and cleared away after this
    liveSandboxes.release(jobID);
    await liveSandboxes.terminate(sessionJobs, jobID, sandbox).catch((error) => {
      // The next garbage collection ends it.
      log("error", "could not end a sandbox", { jobID, sandboxID: sandbox.id, reason: String(error) });
    });
  }

  return {
    async prepare(job, { sandbox, notes }) {
      if (reuseKey(job) === null) return;
      try {
        if (await recordBeginning(sandbox, clock)) prepared.set(sandbox, notes);
      } catch (error) {
        log("warn", "could not prepare a sandbox for the runs after this one", {
          jobID: job.id,
          reason: String(error),
        });
      }
    },
    offer(sessionJobs, jobID) {
      const job = sessionJobs.get(jobID);
      const sandbox = liveSandboxes.raw(jobID);
      if (!job || !sandbox || !prepared.has(sandbox) || !leavesSandbox(job)) return false;
      const key = reuseKey(job);
      if (key === null || !sessionJobs.all().some((one) => takesSandbox(one) && reuseKey(one) === key)) return false;
      offers.set(jobID, { sessionJobs, key });
      return true;
    },
    isOffered: (jobID) => offers.has(jobID),
    async takeOver(sessionJobs, jobID) {
      const from = claim(sessionJobs, requireJob(sessionJobs, jobID));
      if (!from) return null;
      return liveSandboxes.operations.run(from.id, () => give(sessionJobs, from.id, jobID));
    },
  };
}
