import type { Job } from "../../../core/job.ts";
import { toTags } from "../../../core/sandbox-tags.ts";
import { unlessAborted } from "../../../core/unless-aborted.ts";
import type { StepListener } from "../../../sandboxes/creation-steps.ts";
import type { Clock } from "../../../shared/clock.ts";
import type { Log } from "../../../shared/log.ts";
import type { OldFiles } from "../../project/old-files.ts";
import type { ProjectTrees } from "../../project/trees.ts";
import type { SessionJobs } from "../../session/session-jobs.ts";
import type { PoolStore } from "../../store/pool-store.ts";
import { type FurnishDeps, furnish, type MadeSandbox } from "../creation.ts";
import type { LiveSandboxes } from "../live-sandboxes.ts";
import type { TakenWarm, WarmPool } from "./warm-pool.ts";

export interface HandOverDeps extends FurnishDeps {
  readonly warm: Pick<WarmPool, "take" | "giveUp" | "release">;
  readonly trees: Pick<ProjectTrees, "bringUpToDate">;
  readonly liveSandboxes: Pick<LiveSandboxes, "beginAnew">;
  readonly pool: PoolStore;
  /** Names this process. */
  readonly owner: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly onStep?: StepListener | undefined;
  /** Told the files that may be read until the job's own are there. */
  readonly onOldFiles: (files: OldFiles) => void;
}

export interface MadeWarm {
  readonly id: string;
  readonly made: MadeSandbox;
}

/**
 * A job's first sandbox, if one that was kept ready fits: with the project's files and skills of the job, and nothing that
 * tells it from one made for the job. One that does not get that far is ended.
 * @param devices GPUs of this machine that the job has
 * @returns null where there is none, and one has to be made
 * @throws PluginError `cancelled`
 */
export async function handOverWarm(
  deps: HandOverDeps,
  sessionJobs: SessionJobs,
  job: Job,
  devices: readonly string[] | null,
  signal: AbortSignal,
): Promise<MadeWarm | null> {
  for (;;) {
    const taken = deps.warm.take(job, devices);
    if (!taken) return null;
    const { id } = taken;
    const { isUntouched, made, error } = await prepare(deps, sessionJobs, job, taken, signal);
    if (made) return { id, made };
    if (isUntouched && signal.aborted) deps.warm.release(job.id);
    else deps.warm.giveUp(id, job.id);
    if (signal.aborted) throw error;
    deps.log("warn", "a sandbox that was kept ready could not be given to a job", {
      jobID: job.id,
      reason: String(error),
    });
  }
}

interface Prepared {
  readonly made: MadeSandbox | null;
  readonly error: unknown;
  /** Nothing was done in it: it may be another's. */
  readonly isUntouched: boolean;
}

async function prepare(
  deps: HandOverDeps,
  sessionJobs: SessionJobs,
  job: Job,
  { made: making, steps }: TakenWarm,
  signal: AbortSignal,
): Promise<Prepared> {
  const { pool, clock } = deps;
  let isUntouched = true;
  let sandboxID: string | null = null;
  try {
    const { sandbox, warm } = await unlessAborted(steps.follow(making, deps.onStep), signal, "it had a sandbox");
    isUntouched = false;
    sandboxID = sandbox.id;
    // First of all, so that whoever collects garbage meanwhile asks the job that goes on with it.
    pool.insertSandbox(sandbox.id, job.provider, job.id, job.orchestrator, clock.now());
    pool.ownSandbox(sandbox.id, deps.owner);
    await sandbox.setTags(toTags(job, pool.identity()));
    const isUpToDate = await deps.trees.bringUpToDate(sessionJobs, job, sandbox, warm.tree, deps.onOldFiles);
    if (!isUpToDate) throw new Error("its files cannot be brought to those of the job");
    await sandbox.reloadVolumes?.(); // others may have written to them meanwhile
    await deps.liveSandboxes.beginAnew(sandbox);
    const notes = await furnish(deps, job, sandbox);
    if (signal.aborted) throw new Error("the job was stopped");
    // One that was still being made costs nothing before it has its machine.
    const takenAt = Math.max(warm.takenAt ?? clock.now(), warm.since ?? 0);
    const origin = { takenAt, until: warm.until };
    return { made: { sandbox, notes, from: warm.start, warm: origin }, error: null, isUntouched };
  } catch (error) {
    if (sandboxID !== null) pool.deleteSandbox(sandboxID);
    return { made: null, error, isUntouched };
  }
}
