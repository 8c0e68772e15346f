import type { ProviderName } from "../config/provider-names.ts";

/** A saved file system that new jobs can start from. Only the session `orchestrator` sees it. */
export interface SnapshotRecord {
  readonly id: string;
  /** The newest of its labels, which are stored apart from it. */
  readonly label: string | null;
  readonly orchestrator: string;
  readonly jobID: string;
  /** Snapshot that its job started from. */
  readonly parent: string | null;
  readonly kind: "filesystem" | "directory";
  readonly provider: ProviderName;
  readonly sizeBytes: number | null;
  /** Number of inodes it takes; null = not known. */
  readonly files: number | null;
  /** What it does not contain, one sentence each. */
  readonly leftOut: readonly string[];
  readonly createdAt: number;
  /** When the provider deletes it, epoch ms; null = never. */
  readonly expiresAt: number | null;
  /** Taken to park a job, not requested: not listed, and replaced by the next one. */
  readonly parked: boolean;
}

/** A label, the job it belongs to, and the snapshot it names now. */
export interface Label {
  readonly label: string;
  readonly jobID: string;
  readonly snapshotID: string;
}
