import { z } from "zod";
import type { SnapshotRecord } from "../../core/snapshot-record.ts";
import type { Database } from "./database.ts";
import { providerName } from "./job-record.ts";
import { anyRow, json, type RowReader, type RowSchema } from "./rows.ts";

/** A snapshot that contains a project's files and nothing else, for jobs to start from. */
export interface PreparedTree {
  /** Cache key of this exact tree. */
  readonly key: string;
  /** Cache key of everything but the files. The newest tree with the same key is the base of the next one. */
  readonly place: string;
  readonly commit: string;
  readonly form: "repository" | "files";
  readonly snapshotID: string;
  readonly createdAt: number;
  /** When the provider deletes it, epoch ms; null = never, or it is not known. */
  readonly expiresAt: number | null;
}

export interface SnapshotRecords {
  /** Inserts or replaces a snapshot; its label is stored by `giveLabel`. */
  saveSnapshot(snapshot: SnapshotRecord): void;
  snapshots(orchestrator: string): SnapshotRecord[];
  /** The snapshot that was told under this id, or is stored under it, of any session; null = there is none. */
  snapshotNamed(id: string): SnapshotRecord | null;
  /** Snapshots of all sessions. */
  allSnapshots(): SnapshotRecord[];
  deleteSnapshot(id: string): void;
  savePreparedTree(tree: PreparedTree): void;
  /** Oldest first. */
  preparedTrees(place: string): PreparedTree[];
  /** Of all places. */
  allPreparedTrees(): PreparedTree[];
  deletePreparedTree(snapshotID: string): void;
  /** Whether a snapshot or prepared tree that is recorded has this id, or was taken and is kept under it. */
  knowsSnapshot(id: string): boolean;
}

const SNAPSHOTS = `SELECT id, record, (SELECT label FROM labels WHERE labels.orchestrator = snapshots.orchestrator
  AND labels.snapshot = snapshots.id ORDER BY labels.rowid DESC LIMIT 1) AS label FROM snapshots`;

/** A snapshot as stored, also by an earlier version: what that version did not know gets its default here. */
const snapshotRecord = z.object({
  id: z.string(),
  orchestrator: z.string(),
  project: z.string().nullable().default(null),
  jobID: z.string(),
  parent: z.string().nullable().default(null),
  kind: z.enum(["filesystem", "directory"]),
  path: z.string().nullable().default(null),
  provider: providerName,
  sizeBytes: z.number().nullable(),
  files: z.number().nullable().default(null),
  leftOut: z.array(z.string()).default([]),
  createdAt: z.number(),
  expiresAt: z.number().nullable().default(null),
  storedAs: z.string().nullable().default(null),
  renewedAt: z.number().nullable().default(null),
  parked: z.boolean().default(false),
  isState: z.boolean().default(false),
});

const snapshotRow: RowSchema<SnapshotRecord> = z
  .object({ id: z.string(), record: json(snapshotRecord), label: z.string().nullable() })
  .transform(({ record, label }) => ({ ...record, label }));

const PREPARED_TREES = "SELECT snapshot AS id, record FROM prepared_trees";

const preparedTreeRow: RowSchema<PreparedTree> = z
  .object({
    id: z.string(),
    record: json(
      z.object({
        key: z.string(),
        place: z.string(),
        commit: z.string(),
        form: z.enum(["repository", "files"]),
        snapshotID: z.string(),
        createdAt: z.number(),
        expiresAt: z.number().nullable().default(null),
      }),
    ),
  })
  .transform(({ record }) => record);

export function checkSnapshotRows(rows: RowReader): void {
  rows.all(snapshotRow, SNAPSHOTS);
  rows.all(preparedTreeRow, PREPARED_TREES);
}

export const createSnapshotRecords = (database: Database): SnapshotRecords => ({
  saveSnapshot: (snapshot) =>
    database.run(
      "INSERT OR REPLACE INTO snapshots (id, orchestrator, created_at, record) VALUES (?, ?, ?, ?)",
      snapshot.id,
      snapshot.orchestrator,
      snapshot.createdAt,
      JSON.stringify(snapshot),
    ),
  snapshots: (orchestrator) =>
    database.all(snapshotRow, `${SNAPSHOTS} WHERE orchestrator = ? ORDER BY created_at, rowid`, orchestrator),
  snapshotNamed: (id) =>
    database.get(snapshotRow, `${SNAPSHOTS} WHERE id = ?`, id) ??
    database.get(snapshotRow, `${SNAPSHOTS} WHERE json_extract(record, '$.storedAs') = ?`, id) ??
    null,
  allSnapshots: () => database.all(snapshotRow, SNAPSHOTS),
  deleteSnapshot: (id) => database.run("DELETE FROM snapshots WHERE id = ?", id),
  savePreparedTree: (tree) =>
    database.run(
      "INSERT OR REPLACE INTO prepared_trees (snapshot, place, created_at, record) VALUES (?, ?, ?, ?)",
      tree.snapshotID,
      tree.place,
      tree.createdAt,
      JSON.stringify(tree),
    ),
  preparedTrees: (place) =>
    database.all(preparedTreeRow, `${PREPARED_TREES} WHERE place = ? ORDER BY created_at, rowid`, place),
  allPreparedTrees: () => database.all(preparedTreeRow, PREPARED_TREES),
  deletePreparedTree: (snapshotID) => database.run("DELETE FROM prepared_trees WHERE snapshot = ?", snapshotID),
  knowsSnapshot: (id) =>
    database.get(
      anyRow,
      `SELECT 1 FROM snapshots WHERE id = ? UNION SELECT 1 FROM prepared_trees WHERE snapshot = ?
         UNION SELECT 1 FROM snapshot_lineage WHERE snapshot = ?`,
      id,
      id,
      id,
    ) !== undefined,
});
