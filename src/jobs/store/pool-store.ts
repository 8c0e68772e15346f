import { statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { ProviderName } from "../../config/provider-names.ts";
import { type Clock, systemClock } from "../../shared/clock.ts";
import { makeFilePrivate, readPrivateFile, writePrivateFile } from "../../shared/private-files.ts";
import { hasEnded } from "../../shared/process-identity.ts";
import {
  CREATION_RATE_TABLE,
  type CreationRateStore,
  checkCreationRateRows,
  createCreationRateStore,
} from "./creation-rate-store.ts";
import { openDatabase } from "./database.ts";
import {
  checkEnvironmentRows,
  createEnvironmentStore,
  ENVIRONMENT_TABLES,
  type EnvironmentStore,
} from "./environment-store.ts";
import { providerName } from "./job-record.ts";
import { checkLabelRows, createLabelStore, LABEL_MIGRATION, type LabelStore } from "./label-store.ts";
import { BORROWED_SLOT_TABLE, LEASE_MIGRATION, MACHINE_GPU_TABLES, QUEUE_INDEXES } from "./lease-rows.ts";
import { checkLeaseRows, createLeaseStore, type LeaseStore, LOSS_MIGRATION, recordLoss } from "./lease-store.ts";
import {
  checkLineageRows,
  createLineageStore,
  LINEAGE_INDEXES,
  LINEAGE_TABLES,
  type LineageStore,
} from "./lineage-store.ts";
import { damage, type RowReader, type RowSchema } from "./rows.ts";
import {
  CHARGED_TABLE,
  checkSandboxCostRows,
  createSandboxCostStore,
  SANDBOX_COST_TABLE,
  type SandboxCostStore,
} from "./sandbox-cost-store.ts";
import {
  checkSessionProjectRows,
  createSessionProjectStore,
  SESSION_PROJECT_TABLE,
  type SessionProjectStore,
} from "./session-project-store.ts";
import { checkSnapshotRows, createSnapshotRecords, SNAPSHOT_INDEXES, type SnapshotRecords } from "./snapshot-store.ts";
import {
  checkSnapshotUseRows,
  createSnapshotUseStore,
  SNAPSHOT_USE_INDEXES,
  SNAPSHOT_USE_TABLES,
  type SnapshotUseStore,
} from "./snapshot-use-store.ts";
import { checkWarmRows, createWarmStore, WARM_TABLES, type WarmStore } from "./warm-store.ts";
import { checkWarmUseRows, createWarmUseStore, WARM_USE_TABLE, type WarmUseStore } from "./warm-use-store.ts";

/** The state that all OpenCode processes with the same state directory share. */
export interface PoolStore
  extends LeaseStore,
    LabelStore,
    LineageStore,
    SnapshotRecords,
    SnapshotUseStore,
    CreationRateStore,
    EnvironmentStore,
    SandboxCostStore,
    SessionProjectStore,
    WarmStore,
    WarmUseStore {
  insertSandbox(id: string, provider: ProviderName, jobID: string, orchestrator: string, now: number): void;
  /** It has ended, and what it has cost is charged. */
  deleteSandbox(id: string): void;
  /** Records that this process parks the sandbox once its job has ended. */
  ownSandbox(id: string, owner: string): void;
  /** Whether the process that would have parked the sandbox is known to be dead. */
  isSandboxAbandoned(id: string): boolean;
  /** Sandboxes that were created and are not known to have ended. */
  sandboxes(): SandboxRow[];
  /** Identifies this state directory in the tags of its sandboxes. */
  identity(): string;
  /** When its file was made, epoch ms; null if the file system does not say. */
  madeAt(): number | null;
  /** New paths of damaged files that were set aside. */
  damaged(): readonly string[];
  /** Path of the file, if there were records of this state directory once and it was missing or empty; else null. */
  begunAnew(): string | null;
  close(): void;
}

export interface SandboxRow {
  readonly id: string;
  readonly provider: ProviderName;
  readonly jobID: string;
  readonly orchestrator: string;
  /** When it was recorded, epoch ms. */
  readonly createdAt: number;
}

const SANDBOXES =
  "SELECT id, provider, job AS jobID, orchestrator, created_at AS createdAt FROM sandboxes ORDER BY created_at";

const sandboxRow: RowSchema<SandboxRow> = z.object({
  id: z.string(),
  provider: providerName,
  jobID: z.string(),
  orchestrator: z.string(),
  createdAt: z.number(),
});

const identityRow = z.object({ id: z.string() });
const SELECT_IDENTITY = "SELECT id FROM identity";
const ownerRow = z.object({ owner: z.string() });

function checkRows(rows: RowReader): void {
  checkLeaseRows(rows);
  checkLabelRows(rows);
  checkSnapshotRows(rows);
  checkSnapshotUseRows(rows);
  checkLineageRows(rows);
  checkCreationRateRows(rows);
  checkEnvironmentRows(rows);
  checkSandboxCostRows(rows);
  checkSessionProjectRows(rows);
  checkWarmRows(rows);
  checkWarmUseRows(rows);
  rows.all(sandboxRow, SANDBOXES);
  rows.all(ownerRow, "SELECT sandbox, owner FROM sandbox_owners");
  if (!rows.get(identityRow, SELECT_IDENTITY)) throw damage("no identity");
}

const MIGRATIONS = [
  `CREATE TABLE leases (id TEXT PRIMARY KEY, job TEXT NOT NULL, orchestrator TEXT NOT NULL, owner TEXT NOT NULL,
     expires_at INTEGER NOT NULL);
   CREATE TABLE snapshots (id TEXT PRIMARY KEY, orchestrator TEXT NOT NULL, created_at INTEGER NOT NULL, record TEXT NOT NULL);
   CREATE INDEX snapshots_by_orchestrator ON snapshots (orchestrator, created_at);
   CREATE TABLE sandboxes (id TEXT PRIMARY KEY, provider TEXT NOT NULL, job TEXT NOT NULL, orchestrator TEXT NOT NULL,
     created_at INTEGER NOT NULL)`,
  LEASE_MIGRATION,
  "CREATE TABLE prepared_trees (snapshot TEXT PRIMARY KEY, place TEXT NOT NULL, created_at INTEGER NOT NULL, record TEXT NOT NULL)",
  "CREATE TABLE identity (id TEXT NOT NULL); INSERT INTO identity VALUES (lower(hex(randomblob(8))))",
  "CREATE TABLE cancels (lease TEXT PRIMARY KEY, reason TEXT)",
  LABEL_MIGRATION,
  LOSS_MIGRATION,
];

/** Of the file's tables. */
export const POOL_VERSION = MIGRATIONS.length;

/**
 * Opens the shared state. Its identity is also kept in a file of its own: sandboxes carry it in their tags, by which
 * they are found if the database is lost.
 */
export async function openPoolStore(stateDir: string, clock: Pick<Clock, "now"> = systemClock): Promise<PoolStore> {
  const file = join(stateDir, "pool.db");
  const identityFile = join(stateDir, "identity");
  let isBegunAnew = false;
  const database = await openDatabase(file, MIGRATIONS, {
    clock,
    sideTables: [
      "sandbox_owners (sandbox TEXT PRIMARY KEY, owner TEXT NOT NULL)",
      BORROWED_SLOT_TABLE,
      ...MACHINE_GPU_TABLES,
      ...LINEAGE_TABLES,
      ...SNAPSHOT_USE_TABLES,
      CREATION_RATE_TABLE,
      ...ENVIRONMENT_TABLES,
      SANDBOX_COST_TABLE,
      CHARGED_TABLE,
      SESSION_PROJECT_TABLE,
      ...WARM_TABLES,
      WARM_USE_TABLE,
    ],
    sideIndexes: [...QUEUE_INDEXES, ...SNAPSHOT_INDEXES, ...LINEAGE_INDEXES, ...SNAPSHOT_USE_INDEXES],
    isShared: true,
    check: checkRows,
    onNew(made) {
      const known = readIdentity(identityFile);
      if (known === null) return;
      isBegunAnew = true;
      made.run("UPDATE identity SET id = ?", known);
      recordLoss(made, clock.now());
    },
  });
  const identity = () => database.get(identityRow, SELECT_IDENTITY)?.id ?? "";
  keepIdentity(identityFile, identity());
  const costs = createSandboxCostStore(database, clock);
  return {
    ...createLeaseStore(database),
    ...createLabelStore(database),
    ...createSnapshotRecords(database),
    ...createLineageStore(database),
    ...createSnapshotUseStore(database),
    ...createCreationRateStore(database),
    ...createEnvironmentStore(database),
    ...costs,
    ...createSessionProjectStore(database),
    ...createWarmStore(database),
    ...createWarmUseStore(database),
    insertSandbox: (id, provider, jobID, orchestrator, now) =>
      database.run(
        "INSERT OR REPLACE INTO sandboxes (id, provider, job, orchestrator, created_at) VALUES (?, ?, ?, ?, ?)",
        id,
        provider,
        jobID,
        orchestrator,
        now,
      ),
    deleteSandbox: (id) =>
      database.transaction(() => {
        costs.claimLastCharge(id);
        database.run("DELETE FROM sandboxes WHERE id = ?", id);
        database.run("DELETE FROM sandbox_owners WHERE sandbox = ?", id);
        database.run("DELETE FROM sandbox_origins WHERE sandbox = ?", id);
        database.run("DELETE FROM sandbox_costs WHERE sandbox = ?", id);
      }),
    ownSandbox: (id, owner) =>
      database.run("INSERT OR REPLACE INTO sandbox_owners (sandbox, owner) VALUES (?, ?)", id, owner),
    isSandboxAbandoned(id) {
      const row = database.get(ownerRow, "SELECT owner FROM sandbox_owners WHERE sandbox = ?", id);
      return row !== undefined && hasEnded(row.owner) === true;
    },
    sandboxes: () => database.all(sandboxRow, SANDBOXES),
    identity,
    madeAt: () => statSync(file).birthtimeMs || null,
    damaged: () => database.damaged(),
    begunAnew: () => (isBegunAnew && database.damaged().length === 0 ? file : null),
    close: () => database.close(),
  };
}

function readIdentity(file: string): string | null {
  try {
    const text = readPrivateFile(file) ?? "";
    return /^[0-9a-f]{16}$/.test(text) ? text : null;
  } catch {
    return null; // it is written again
  }
}

/** Best effort: the file is only needed when the database is lost. */
function keepIdentity(file: string, identity: string): void {
  try {
    if (readIdentity(file) !== identity) writePrivateFile(file, identity);
    makeFilePrivate(file);
  } catch {
    // The disk may be full: the next process to open the database tries again.
  }
}
