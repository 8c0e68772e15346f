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
  /** Snapshot of the environment's image that it was made from; absent = its environment has no set-up. */
  readonly environment?: string | undefined;
  /** The project's empty folders in it, where set-up may have left others. Absent = as `environment`. */
  readonly emptyFolders?: readonly string[] | undefined;
}

export interface SnapshotRecords {
  /** Inserts or replaces a snapshot; its label is stored by `giveLabel`. */
  saveSnapshot(snapshot: SnapshotRecord): void;
  snapshots(orchestrator: string): SnapshotRecord[];
  /** Those of one job, oldest first. */
  snapshotsOf(jobID: string): SnapshotRecord[];
  /** The newest of a session that were asked for, oldest first, and how many there are in all. */
  requestedSnapshots(
    orchestrator: string,
    limit: number,
  ): { readonly newest: SnapshotRecord[]; readonly count: number };
  /** Those that jobs of a session are parked with and that the provider deletes until then, at most `limit`: soonest first. */
  parkedUntil(orchestrator: string, until: number, limit: number): SnapshotRecord[];
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

const SNAPSHOTS = `SELECT id, record, (SELECT label FROM labels WHERE +labels.orchestrator = snapshots.orchestrator
  AND labels.snapshot = snapshots.id ORDER BY labels.rowid DESC LIMIT 1) AS label FROM snapshots`;

/** A field of the record; a row that is no JSON is found when it is read. */
const field = (name: string) => `CASE WHEN json_valid(record) THEN json_extract(record, '$.${name}') END`;
const JOB = field("jobID");
const STORED_AS = field("storedAs");
const IS_PARKED = `coalesce(${field("parked")}, 0)`;
const EXPIRES_AT = field("expiresAt");

/** A session may have ten thousand snapshots: what is asked often reads none but those that are wanted. */
export const SNAPSHOT_INDEXES = [
  `snapshots_by_job ON snapshots (${JOB})`,
  `snapshots_by_stored_id ON snapshots (${STORED_AS})`,
  `snapshots_by_kind ON snapshots (orchestrator, ${IS_PARKED}, created_at)`,
  `snapshots_by_end ON snapshots (orchestrator, ${IS_PARKED}, ${EXPIRES_AT})`,
  "labels_by_snapshot ON labels (snapshot)",
];

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

const countRow = z.object({ n: z.number() });

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
        environment: z.string().optional(),
        emptyFolders: z.array(z.string()).optional(),
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
  snapshotsOf: (jobID) => database.all(snapshotRow, `${SNAPSHOTS} WHERE ${JOB} = ? ORDER BY created_at, rowid`, jobID),
  requestedSnapshots(orchestrator, limit) {
    const requested = `WHERE orchestrator = ? AND ${IS_PARKED} = 0`;
    const newest = database.all(
      snapshotRow,
      `${SNAPSHOTS} ${requested} ORDER BY created_at DESC, rowid DESC LIMIT ?`,
      orchestrator,
      limit,
    );
    const counted = database.get(countRow, `SELECT COUNT(*) AS n FROM snapshots ${requested}`, orchestrator);
    return { newest: newest.reverse(), count: counted?.n ?? 0 };
  },
  parkedUntil: (orchestrator, until, limit) =>
    database.all(
      snapshotRow,
      `${SNAPSHOTS} WHERE orchestrator = ? AND ${IS_PARKED} = 1 AND ${EXPIRES_AT} <= ? ORDER BY ${EXPIRES_AT} LIMIT ?`,
      orchestrator,
      until,
      limit,
    ),
  snapshotNamed: (id) =>
    database.get(snapshotRow, `${SNAPSHOTS} WHERE id = ?`, id) ??
    database.get(snapshotRow, `${SNAPSHOTS} WHERE ${STORED_AS} = ?`, id) ??
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
