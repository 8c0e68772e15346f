import type { BurstReturn, Returned } from "../../core/burst-return.ts";
import type { Job } from "../../core/job.ts";
import { withNotes } from "../../core/job-notes.ts";
import type { Sandbox, SandboxProvider } from "../../sandboxes/port.ts";
import type { Log } from "../../shared/log.ts";
import type { Snapshots } from "../sandbox/snapshots.ts";
import type { SessionJobs } from "../session/session-jobs.ts";

export interface ReturnDeps {
  readonly snapshots: Pick<Snapshots, "take" | "adopt">;
  readonly provider: (name: Job["provider"]) => Promise<SandboxProvider>;
  readonly log: Log;
}

interface Source {
  readonly sessionJobs: SessionJobs;
  readonly jobID: string;
  readonly sandbox: Sandbox;
  readonly hasEnded: () => boolean;
}

/**
 * What has become of the files of a command. What did not come back is kept in a snapshot, where that is possible.
 * Never rejects.
 * @param isHeard whether the job's agent will read it; else it is noted on the job
 */
export async function toReturn(
  deps: ReturnDeps,
  source: Source,
  files: Promise<Returned>,
  isHeard: () => boolean,
): Promise<BurstReturn> {
  const { sessionJobs, jobID } = source;
  try {
    const returned = await files;
    const isWhole = returned.left.length + returned.failed.length === 0;
    return { kind: "returned", files: returned, snapshot: isWhole ? null : await keep(deps, source) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    deps.log("warn", "the files of a command on a GPU did not come back", { jobID, reason: why });
    const snapshot = await keep(deps, source);
    const note = `What a command on a GPU had written did not come back (${why})${snapshot === null ? "." : `; it is kept in the snapshot ${snapshot}.`}`;
    if (!isHeard()) sessionJobs.update(jobID, (job) => withNotes(job, [note]));
    return { kind: "failed", why, snapshot };
  }
}

/** A snapshot of the work directory there, or of the last files of a sandbox that has ended; null where there is none. */
async function keep(deps: ReturnDeps, { sessionJobs, jobID, sandbox, hasEnded }: Source): Promise<string | null> {
  const job = sessionJobs.get(jobID);
  if (!job) return null;
  try {
    if (!hasEnded())
      return (await deps.snapshots.take(job, sandbox, { label: null, path: sandbox.workdir })).snapshot.id;
    const taken = await (await deps.provider(job.provider)).snapshots?.ofLost(sandbox.id);
    return taken ? deps.snapshots.adopt(job, taken).id : null;
  } catch (error) {
    deps.log("warn", "could not keep what a command on a GPU had written", { jobID, reason: String(error) });
    return null;
  }
}
