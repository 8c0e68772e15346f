import { z } from "zod";
import type { Job } from "../../core/job.ts";
import type { Database } from "./database.ts";
import { treeBase } from "./job-record.ts";
import { json, type RowReader, type RowSchema } from "./rows.ts";

/** The project's files that a snapshot's work is based on, as its job had them recorded when it was taken. */
export type SnapshotBases = Pick<Job, "base" | "formerBases">;

/** Which jobs of any session may still be made from a snapshot, and what the work in a snapshot is based on. */
export interface SnapshotUseStore {
  /** Records that the job may still be made from this snapshot, and from no other. */
  saveUse(job: Pick<Job, "id" | "orchestrator">, snapshotID: string): void;
  deleteUse(jobID: string): void;
  /** Deletes the uses of a deleted session. */
  deleteUses(orchestrator: string): void;
  /** The sessions whose jobs may still be made from this snapshot, each once. */
  usersOf(snapshotID: string): readonly string[];
  saveBases(snapshotID: string, bases: SnapshotBases): void;
  /** null = an earlier version took it, or it is not known. */
  basesOf(snapshotID: string): SnapshotBases | null;
  deleteBases(snapshotID: string): void;
}

export const SNAPSHOT_USE_TABLES = [
  "snapshot_uses (job TEXT PRIMARY KEY, orchestrator TEXT NOT NULL, snapshot TEXT NOT NULL)",
  "snapshot_bases (snapshot TEXT PRIMARY KEY, record TEXT NOT NULL)",
];

export const SNAPSHOT_USE_INDEXES = ["uses_by_snapshot ON snapshot_uses (snapshot)"];

const userRow = z.object({ orchestrator: z.string() });
const basesRow: RowSchema<SnapshotBases> = z
  .object({ record: json(z.object({ base: treeBase.nullable(), formerBases: z.array(treeBase) })) })
  .transform(({ record }) => record);

export function checkSnapshotUseRows(rows: RowReader): void {
  rows.all(userRow, "SELECT job, orchestrator, snapshot FROM snapshot_uses");
  rows.all(basesRow, "SELECT snapshot AS id, record FROM snapshot_bases");
}

export const createSnapshotUseStore = (database: Database): SnapshotUseStore => ({
  saveUse: ({ id, orchestrator }, snapshotID) =>
    database.run(
      "INSERT OR REPLACE INTO snapshot_uses (job, orchestrator, snapshot) VALUES (?, ?, ?)",
      id,
      orchestrator,
      snapshotID,
    ),
  deleteUse: (jobID) => database.run("DELETE FROM snapshot_uses WHERE job = ?", jobID),
  deleteUses: (orchestrator) => database.run("DELETE FROM snapshot_uses WHERE orchestrator = ?", orchestrator),
  usersOf: (snapshotID) =>
    database
      .all(userRow, "SELECT DISTINCT orchestrator FROM snapshot_uses WHERE snapshot = ?", snapshotID)
      .map(({ orchestrator }) => orchestrator),
  saveBases: (snapshotID, { base, formerBases }) =>
    database.run(
      "INSERT OR REPLACE INTO snapshot_bases (snapshot, record) VALUES (?, ?)",
      snapshotID,
      JSON.stringify({ base, formerBases }),
    ),
  basesOf: (snapshotID) =>
    database.get(basesRow, "SELECT snapshot AS id, record FROM snapshot_bases WHERE snapshot = ?", snapshotID) ?? null,
  deleteBases: (snapshotID) => database.run("DELETE FROM snapshot_bases WHERE snapshot = ?", snapshotID),
});
