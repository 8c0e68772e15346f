import { join } from "node:path";
import type { ProviderName } from "../../sandboxes/port.ts";
import { openDatabase } from "./database.ts";

/** A frozen file system that new jobs can start from. `orchestrator` is the session that sees it. */
export interface SnapshotRecord {
  readonly id: string;
  readonly label: string | null;
  readonly orchestrator: string;
  readonly jobID: string;
  /** Snapshot its job started from. */
  readonly parent: string | null;
  readonly kind: "filesystem" | "directory";
  readonly provider: ProviderName;
  readonly sizeBytes: number | null;
  readonly createdAt: number;
  /** Epoch ms at which its provider forgets it; null = it is kept. */
  readonly expiresAt: number | null;
  /** Taken to park a job, not asked for: listed nowhere, replaced by the next one. */
  readonly parked: boolean;
}

/** What every OpenCode process of the user that shares the state directory has in common. */
export interface PoolStore {
  /** Takes a running slot in one transaction, unless `limit` are held. Leases of owners gone silent do not count. */
  acquireLease(lease: LeaseRequest, limit: number, now: number): boolean;
  /** Takes them again where they lapsed meanwhile, e.g. while the machine slept: their jobs still run. */
  renewLeases(leases: Iterable<LeaseRequest>, now: number): void;
  releaseLease(leaseID: string): void;
  /** Slots held now, and how many of them by other owners. */
  heldLeases(owner: string, now: number): { total: number; foreign: number };
  isLeaseAlive(leaseID: string, now: number): boolean;
  /** Inserts or replaces. */
  saveSnapshot(snapshot: SnapshotRecord): void;
  snapshots(orchestrator: string): SnapshotRecord[];
  deleteSnapshot(id: string): void;
  insertSandbox(id: string, provider: ProviderName, jobID: string, orchestrator: string, now: number): void;
  deleteSandbox(id: string): void;
  close(): void;
}

export interface LeaseRequest {
  readonly id: string;
  readonly jobID: string;
  readonly orchestrator: string;
  readonly owner: string;
}

/** A lease not renewed for so long belongs to a dead process, even where its pid lives on. Renewed every `LEASE_RENEW_MS`. */
const LEASE_TTL_MS = 30_000;
export const LEASE_RENEW_MS = 5_000;

/** Names this process (and one plugin instance in it) as owner of leases; the pid tells others when it is dead. */
export const toOwner = (nonce: string): string => `${process.pid}:${nonce}`;

function isOwnerDead(owner: string): boolean {
  try {
    process.kill(Number.parseInt(owner, 10), 0);
    return false;
  } catch (error) {
    return (error as { code?: string }).code === "ESRCH";
  }
}

const MIGRATIONS = [
  `CREATE TABLE leases (id TEXT PRIMARY KEY, job TEXT NOT NULL, orchestrator TEXT NOT NULL, owner TEXT NOT NULL,
     expires_at INTEGER NOT NULL);
   CREATE TABLE snapshots (id TEXT PRIMARY KEY, orchestrator TEXT NOT NULL, created_at INTEGER NOT NULL, record TEXT NOT NULL);
   CREATE INDEX snapshots_by_orchestrator ON snapshots (orchestrator, created_at);
   CREATE TABLE sandboxes (id TEXT PRIMARY KEY, provider TEXT NOT NULL, job TEXT NOT NULL, orchestrator TEXT NOT NULL,
     created_at INTEGER NOT NULL)`,
];

export async function openPoolStore(stateDir: string): Promise<PoolStore> {
  const database = await openDatabase(join(stateDir, "pool.db"), MIGRATIONS);
  const reclaim = (now: number) => {
    database.run("DELETE FROM leases WHERE expires_at < ?", now);
    for (const { owner } of database.all<{ owner: string }>("SELECT DISTINCT owner FROM leases")) {
      if (isOwnerDead(owner)) database.run("DELETE FROM leases WHERE owner = ?", owner);
    }
  };
  const hold = (lease: LeaseRequest, now: number) =>
    database.run(
      `INSERT INTO leases (id, job, orchestrator, owner, expires_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at`,
      lease.id,
      lease.jobID,
      lease.orchestrator,
      lease.owner,
      now + LEASE_TTL_MS,
    );
  const count = (sql: string, ...values: (string | number)[]) =>
    database.get<{ n: number }>(`SELECT count(*) AS n FROM leases WHERE ${sql}`, ...values)?.n ?? 0;
  return {
    acquireLease: (lease, limit, now) =>
      database.transaction(() => {
        reclaim(now);
        if (count("1") >= limit) return false;
        hold(lease, now);
        return true;
      }),
    renewLeases: (leases, now) =>
      database.transaction(() => {
        for (const lease of leases) hold(lease, now);
      }),
    releaseLease: (id) => database.run("DELETE FROM leases WHERE id = ?", id),
    // Only reads: prompts and views ask often. What is lapsed is removed when a slot is wanted.
    heldLeases: (owner, now) => ({
      total: count("expires_at >= ?", now),
      foreign: count("expires_at >= ? AND owner <> ?", now, owner),
    }),
    isLeaseAlive: (id, now) => {
      reclaim(now);
      return count("id = ?", id) > 0;
    },
    saveSnapshot: (snapshot) =>
      database.run(
        "INSERT OR REPLACE INTO snapshots (id, orchestrator, created_at, record) VALUES (?, ?, ?, ?)",
        snapshot.id,
        snapshot.orchestrator,
        snapshot.createdAt,
        JSON.stringify(snapshot),
      ),
    snapshots: (orchestrator) =>
      database
        .all<{ record: string }>(
          "SELECT record FROM snapshots WHERE orchestrator = ? ORDER BY created_at, rowid",
          orchestrator,
        )
        .map((row): SnapshotRecord => ({ expiresAt: null, ...JSON.parse(row.record) })),
    deleteSnapshot: (id) => database.run("DELETE FROM snapshots WHERE id = ?", id),
    insertSandbox: (id, provider, jobID, orchestrator, now) =>
      database.run(
        "INSERT OR REPLACE INTO sandboxes (id, provider, job, orchestrator, created_at) VALUES (?, ?, ?, ?, ?)",
        id,
        provider,
        jobID,
        orchestrator,
        now,
      ),
    deleteSandbox: (id) => database.run("DELETE FROM sandboxes WHERE id = ?", id),
    close: () => database.close(),
  };
}
