import type { ProviderName } from "../config/provider-names.ts";
import { isEnded, type Job } from "./job.ts";

/**
 * A saved file system that new jobs can start from. Only the session `orchestrator` sees it; others of its project can
 * start from it by its id.
 */
export interface SnapshotRecord {
  readonly id: string;
  /** The newest of its labels, which are stored apart from it. */
  readonly label: string | null;
  readonly orchestrator: string;
  /** The project of its session, which may be deleted by now; null = it is not known. */
  readonly project: string | null;
  readonly jobID: string;
  /** Snapshot that its job started from. */
  readonly parent: string | null;
  readonly kind: "filesystem" | "directory";
  /** The directory that it holds, absolute; null for a file system, and where an earlier version did not record it. */
  readonly path: string | null;
  readonly provider: ProviderName;
  readonly sizeBytes: number | null;
  /** Number of inodes it takes; null = not known. */
  readonly files: number | null;
  /** What it does not contain, one sentence each. */
  readonly leftOut: readonly string[];
  readonly createdAt: number;
  /** When the provider deletes it, epoch ms; null = never. */
  readonly expiresAt: number | null;
  /**
   * Its id at the provider since it was renewed; null = it still has the id it began with. Whoever was told that id goes on
   * using it.
   */
  readonly storedAs: string | null;
  /** When it was renewed last, epoch ms; null = never. */
  readonly renewedAt: number | null;
  /** Taken to park a job, not requested: not listed, and replaced by the next one. */
  readonly parked: boolean;
  /** Whether it holds what the user's options keep of a job, so that its job can go on from it, also if it is a directory. */
  readonly isState: boolean;
}

/** A label, the job it belongs to, and the snapshot it names now. */
export interface Label {
  readonly label: string;
  readonly jobID: string;
  readonly snapshotID: string;
}

/** Whether the job may still be made from the snapshot that it starts from: later it goes on from its own, or ends for good. */
export function mayStartAgain({ state, sandbox, task }: Pick<Job, "state" | "sandbox" | "task">): boolean {
  if (!isEnded(state)) return true;
  return task.run === null && sandbox.kind !== "live" && sandbox.kind !== "parked";
}
