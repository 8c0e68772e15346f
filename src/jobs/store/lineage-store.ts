import { z } from "zod";
import type { ProviderName } from "../../config/provider-names.ts";
import type { Database } from "./database.ts";
import { providerName } from "./job-record.ts";
import type { RowReader, RowSchema } from "./rows.ts";

/** A snapshot by its id at the provider. */
export interface StoredSnapshot {
  readonly id: string;
  readonly provider: ProviderName;
}

/** Which snapshot each sandbox and each snapshot was made from, and which snapshots only others still need. */
export interface LineageStore {
  /** Records what a sandbox was made from. Call it after `insertSandbox`. */
  saveOrigin(sandboxID: string, snapshotID: string): void;
  /** Records that a snapshot was taken of this sandbox. @param expiresAt epoch ms; null = never */
  saveLineage(snapshot: StoredSnapshot, sandboxID: string, expiresAt: number | null): void;
  /** Records that a snapshot is only kept for what was made from it. */
  saveUnwanted(snapshot: StoredSnapshot): void;
  /** Unwanted and expired snapshots from which no sandbox and no snapshot is left. */
  unneeded(now: number): StoredSnapshot[];
  deleteLineage(id: string): void;
  /** The sandbox that a snapshot was taken of; null = it is not known. */
  sandboxOf(snapshotID: string): string | null;
}

export const LINEAGE_TABLES = [
  "sandbox_origins (sandbox TEXT PRIMARY KEY, snapshot TEXT NOT NULL)",
  `snapshot_lineage (snapshot TEXT PRIMARY KEY, provider TEXT NOT NULL, parent TEXT, sandbox TEXT, expires_at INTEGER,
     unwanted INTEGER NOT NULL DEFAULT 0)`,
];

/** What is unneeded is asked whenever a snapshot is removed. */
export const LINEAGE_INDEXES = [
  "lineage_by_parent ON snapshot_lineage (parent)",
  "lineage_by_want ON snapshot_lineage (unwanted)",
  "lineage_by_end ON snapshot_lineage (expires_at)",
  "origins_by_snapshot ON sandbox_origins (snapshot)",
];

const storedRow: RowSchema<StoredSnapshot> = z.object({ id: z.string(), provider: providerName });
const sandboxOfRow = z.object({ sandbox: z.string().nullable() });
const originRow = z.object({ snapshot: z.string() });

export function checkLineageRows(rows: RowReader): void {
  rows.all(originRow, "SELECT sandbox, snapshot FROM sandbox_origins");
  rows.all(storedRow, "SELECT snapshot AS id, provider, parent, sandbox, expires_at, unwanted FROM snapshot_lineage");
}

export const createLineageStore = (database: Database): LineageStore => ({
  saveOrigin: (sandboxID, snapshotID) =>
    database.run("INSERT OR REPLACE INTO sandbox_origins (sandbox, snapshot) VALUES (?, ?)", sandboxID, snapshotID),
  saveLineage: ({ id, provider }, sandboxID, expiresAt) =>
    database.run(
      `INSERT OR REPLACE INTO snapshot_lineage (snapshot, provider, parent, sandbox, expires_at)
         VALUES (?, ?, (SELECT snapshot FROM sandbox_origins WHERE sandbox = ?), ?, ?)`,
      id,
      provider,
      sandboxID,
      sandboxID,
      expiresAt,
    ),
  saveUnwanted: ({ id, provider }) =>
    database.run(
      `INSERT INTO snapshot_lineage (snapshot, provider, unwanted) VALUES (?, ?, 1)
         ON CONFLICT (snapshot) DO UPDATE SET unwanted = 1`,
      id,
      provider,
    ),
  unneeded: (now) =>
    database.all(
      storedRow,
      `SELECT snapshot AS id, provider FROM snapshot_lineage AS one WHERE (unwanted = 1 OR expires_at <= ?)
         AND NOT EXISTS (SELECT 1 FROM snapshot_lineage AS child WHERE child.parent = one.snapshot)
         AND NOT EXISTS (SELECT 1 FROM sandbox_origins JOIN sandboxes ON sandboxes.id = sandbox_origins.sandbox
           WHERE sandbox_origins.snapshot = one.snapshot)`,
      now,
    ),
  sandboxOf: (snapshotID) =>
    database.get(sandboxOfRow, "SELECT sandbox FROM snapshot_lineage WHERE snapshot = ?", snapshotID)?.sandbox ?? null,
  deleteLineage: (id) => database.run("DELETE FROM snapshot_lineage WHERE snapshot = ?", id),
});
