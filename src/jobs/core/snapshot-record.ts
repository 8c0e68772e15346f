import type { ProviderName } from "../../sandboxes/port.ts";

/** A frozen file system that new jobs can start from. `orchestrator` is the session that sees it. */
export interface SnapshotRecord {
  readonly id: string;
  /** The newest that it bears; labels are kept apart from it. */
  readonly label: string | null;
  readonly orchestrator: string;
  readonly jobID: string;
  /** Snapshot its job started from. */
  readonly parent: string | null;
  readonly kind: "filesystem" | "directory";
  readonly provider: ProviderName;
  readonly sizeBytes: number | null;
  /** Inodes it takes; null where that is not known. */
  readonly files: number | null;
  /** What it does not keep, one sentence each. */
  readonly leftOut: readonly string[];
  readonly createdAt: number;
  /** Epoch ms at which its provider forgets it; null = it is kept. */
  readonly expiresAt: number | null;
  /** Taken to park a job, not asked for: listed nowhere, replaced by the next one. */
  readonly parked: boolean;
}

/** Whose a label is, and what it names now. */
export interface Label {
  readonly label: string;
  readonly jobID: string;
  readonly snapshotID: string;
}
