import { Database as Opened } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SnapshotRecord } from "../../../../src/core/snapshot-record.ts";
import type { Database } from "../../../../src/jobs/store/database.ts";
import type { SqlValue } from "../../../../src/jobs/store/driver.ts";
import { createLeaseStore } from "../../../../src/jobs/store/lease-store.ts";
import { createLineageStore } from "../../../../src/jobs/store/lineage-store.ts";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";
import { createSnapshotRecords } from "../../../../src/jobs/store/snapshot-store.ts";
import { createSnapshotUseStore } from "../../../../src/jobs/store/snapshot-use-store.ts";

/* Ten thousand ended runs are parked with a snapshot each: what is asked of one job or one answer must not read them all. */

const folder = () => mkdtempSync(join(tmpdir(), "pool-"));

const snapshotOf = (n: number, more: Partial<SnapshotRecord> = {}): SnapshotRecord => ({
  id: `snap_${n}`,
  label: null,
  orchestrator: "ses_1",
  project: null,
  jobID: "job_1",
  parent: null,
  kind: "filesystem",
  path: null,
  provider: "local",
  sizeBytes: null,
  files: null,
  leftOut: [],
  createdAt: n,
  expiresAt: null,
  storedAs: null,
  renewedAt: null,
  parked: false,
  isState: false,
  ...more,
});

test("what is asked of snapshots and of the queue is answered by an index", async () => {
  const stateDir = folder();
  (await openPoolStore(stateDir)).close();
  const real = new Opened(join(stateDir, "pool.db"));
  const plans: string[] = [];
  const explain = (sql: string, values: SqlValue[]) => {
    const steps = real.query(`EXPLAIN QUERY PLAN ${sql}`).all(...values) as { detail: string }[];
    plans.push(...steps.map(({ detail }) => `${detail} in ${sql}`));
  };
  const database = {
    get: (_row: unknown, sql: string, ...values: SqlValue[]) => void explain(sql, values),
    all(_row: unknown, sql: string, ...values: SqlValue[]) {
      explain(sql, values);
      return [];
    },
  } as unknown as Database;
  const records = createSnapshotRecords(database);
  records.snapshotsOf("job_1");
  records.requestedSnapshots("ses_1", 200);
  records.parkedUntil("ses_1", 1, 50);
  records.snapshotNamed("snap_1");
  records.knowsSnapshot("snap_1");
  createSnapshotUseStore(database).usersOf("snap_1");
  createLineageStore(database).unneeded(1);
  const leases = createLeaseStore(database);
  for (const _ of leases.poolState(1).queue);
  leases.queuedUntil(1, 1);
  real.close();
  rmSync(stateDir, { recursive: true, force: true });
  expect(plans.length).toBeGreaterThan(8);
  const small = /SCAN (json_each|leases|warm_sandboxes)/; // what the question itself names, and few rows beside each slot
  expect(plans.filter((plan) => plan.startsWith("SCAN") && !small.test(plan))).toEqual([]);
  // What is limited is read in the order of an index, not sorted.
  expect(plans.filter((plan) => plan.startsWith("USE TEMP B-TREE") && plan.includes("LIMIT ?"))).toEqual([]);
});

test("finds a session's newest requested snapshots, those of a job, and parked ones that end soon", async () => {
  const stateDir = folder();
  const pool = await openPoolStore(stateDir);
  for (let n = 1; n <= 5; n++) pool.saveSnapshot(snapshotOf(n, { jobID: `job_${n % 2}` }));
  pool.saveSnapshot(snapshotOf(6, { parked: true, expiresAt: 90 }));
  pool.saveSnapshot(snapshotOf(7, { parked: true, expiresAt: 80 }));
  pool.saveSnapshot(snapshotOf(8, { parked: true, expiresAt: 500 }));
  pool.saveSnapshot(snapshotOf(9, { parked: true }));
  pool.saveSnapshot(snapshotOf(10, { expiresAt: 80 }));
  pool.saveSnapshot(snapshotOf(11, { orchestrator: "ses_2", jobID: "job_9", storedAs: "im-1" }));
  const ids = (snapshots: readonly SnapshotRecord[]) => snapshots.map(({ id }) => id);
  const { newest, count } = pool.requestedSnapshots("ses_1", 3);
  expect([ids(newest), count]).toEqual([["snap_4", "snap_5", "snap_10"], 6]);
  expect(ids(pool.snapshotsOf("job_1"))).toEqual([
    "snap_1",
    "snap_3",
    "snap_5",
    "snap_6",
    "snap_7",
    "snap_8",
    "snap_9",
    "snap_10",
  ]);
  expect(ids(pool.parkedUntil("ses_1", 100, 5))).toEqual(["snap_7", "snap_6"]);
  expect(ids(pool.parkedUntil("ses_1", 1_000, 1))).toEqual(["snap_7"]);
  expect(pool.snapshotNamed("im-1")?.id).toBe("snap_11");
  pool.saveSnapshot(snapshotOf(6, { parked: false }));
  expect(ids(pool.parkedUntil("ses_1", 100, 5))).toEqual(["snap_7"]);
  expect(pool.requestedSnapshots("ses_1", 3).count).toBe(7);
  pool.close();
  rmSync(stateDir, { recursive: true, force: true });
});

test("opens the state of an earlier version, whose records lack what is looked for by an index", async () => {
  const stateDir = folder();
  (await openPoolStore(stateDir)).close();
  const former = new Opened(join(stateDir, "pool.db"));
  for (const { name } of former
    .query("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
    .all() as { name: string }[])
    if (name !== "snapshots_by_orchestrator") former.run(`DROP INDEX ${name}`);
  const { parked: _, expiresAt: __, storedAs: ___, ...record } = snapshotOf(1);
  former.run("INSERT INTO snapshots (id, orchestrator, created_at, record) VALUES (?, ?, ?, ?)", [
    ...["snap_1", "ses_1", 1],
    JSON.stringify(record),
  ]);
  former.close();
  const pool = await openPoolStore(stateDir);
  expect(pool.damaged()).toEqual([]);
  expect(pool.requestedSnapshots("ses_1", 5)).toMatchObject({ newest: [{ id: "snap_1", parked: false }], count: 1 });
  expect(pool.snapshotsOf("job_1").length).toBe(1);
  pool.close();
  rmSync(stateDir, { recursive: true, force: true });
});
