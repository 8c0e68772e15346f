import type { Job } from "../../core/job.ts";
import { withNotes } from "../../core/job-notes.ts";
import { type LeftFiles, lossNote, type SandboxLoss } from "../../core/sandbox-loss.ts";
import type { SnapshotRecord } from "../../core/snapshot-record.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import { type Failure, PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import type { Snapshots } from "./snapshots.ts";

export interface LostSandbox {
  readonly id: string;
  readonly failure: Failure;
  /** When its end was noticed, epoch ms. */
  readonly at: number;
}

export interface KeepLostFilesDeps {
  readonly snapshots: Pick<Snapshots, "keepLost" | "newestOf">;
  readonly clock: Clock;
  readonly log: Log;
}

const ASK_AGAIN_MS = 5_000;
/** Time in which asking is tried again. */
const ASK_MS = 3 * 60_000;

/** Of a sandbox that ended while no process had it. */
export const UNSEEN: Failure = {
  code: "sandbox_lost",
  message: "It ended while no OpenCode process used it.",
  retryable: true,
};

/** The job whose sandbox was lost; its last files are not known yet. */
export const withLoss = (job: Job, { failure, at }: Omit<LostSandbox, "id">): Job => ({
  ...job,
  loss: { at, why: failure.message, files: null },
});

/** Records the last files of a lost sandbox as those that its job is revived from, or else what is left. Never rejects. */
export async function keepLostFiles(
  { snapshots, clock, log }: KeepLostFilesDeps,
  sessionJobs: SessionJobs,
  jobID: string,
  lost: LostSandbox,
): Promise<void> {
  const job = requireJob(sessionJobs, jobID);
  let last: SnapshotRecord | null = null;
  let why = "";
  const since = clock.now();
  /** What fails for a moment must not cost the files. */
  const askAgain = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        const mayPass = error instanceof PluginError && error.retryable === true;
        if (!mayPass || clock.now() - since >= ASK_MS) throw error;
        await sleep(clock, ASK_AGAIN_MS);
      }
    }
  };
  try {
    // Not where it would end the same way again: there may be no room for its files.
    if (lost.failure.retryable !== false) last = await askAgain(() => snapshots.keepLost(sessionJobs, job, lost.id));
  } catch (error) {
    why = ` ${error instanceof Error ? error.message : error}.`;
    log("warn", "the last files of a lost sandbox are not kept", { jobID, sandboxID: lost.id, reason: String(error) });
  }
  sessionJobs.update(jobID, (current) => {
    const loss: SandboxLoss = {
      at: current.loss?.files === null ? current.loss.at : lost.at, // an earlier process may have noticed it
      why: `${lost.failure.message}${why}`,
      files: last ? { kind: "last", snapshotID: last.id } : earlierFiles(snapshots.newestOf(job)),
    };
    const sandbox: Job["sandbox"] = last ? { kind: "parked", snapshotID: last.id } : { kind: "gone" };
    return withNotes({ ...current, loss, sandbox }, [lossNote(loss, job.task)]);
  });
}

const earlierFiles = (newest: SnapshotRecord | null): LeftFiles =>
  newest ? { kind: "snapshot", snapshotID: newest.id, takenAt: newest.createdAt } : { kind: "none" };
