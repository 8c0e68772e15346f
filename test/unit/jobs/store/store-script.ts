import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import type { Job } from "../../../../src/core/job.ts";
import type { SnapshotRecord } from "../../../../src/core/snapshot-record.ts";
import { openDatabase } from "../../../../src/jobs/store/database.ts";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";
import { anyRow } from "../../../../src/jobs/store/rows.ts";
import { openSessionStore, sessionFile } from "../../../../src/jobs/store/session-store.ts";
import { jobIn } from "../../views/job-in.ts";

const H100 = { type: "H100", count: 4, exact: true };

/*
 * Uses everything that the stores offer once and returns the results as JSON. It runs under Bun and Node, whose results
 * must be the same.
 */
export async function runStoreScript(stateDir: string): Promise<Record<string, unknown>> {
  const results: Record<string, unknown> = {};
  const file = sessionFile(stateDir, "ses_1");
  const first = await openSessionStore(file);
  const turn = (id: string, position: number, jobID = "job_1") => ({
    id,
    jobID,
    position,
    text: `it's "${id}" – ünïcode`,
    state: "queued" as const,
    messageID: null,
    update: null,
  });
  first.insert([
    { job: job("job_1", 1), turn: turn("turn_1", 1) },
    { job: job("job_2", 2), turn: turn("turn_2", 1, "job_2") },
  ]);
  first.saveTurn(turn("turn_3", 2));
  first.saveJob({ ...job("job_1", 1), turns: 1 });
  first.saveTurn({ ...turn("turn_1", 1), state: "done", messageID: "msg_1" });
  results.twice = attempt(() => first.insert([{ job: job("job_3", 3), turn: turn("turn_3", 2) }, { job: job("job_4", 4), turn: { ...turn("turn_4", 2) } }])); // biome-ignore format: one line
  first.close();
  const again = await openSessionStore(file);
  results.jobs = again.jobs();
  results.job = [again.job("job_2"), again.job("job_9") ?? "none"];
  results.turns = [again.turns("job_1"), again.turns("job_2"), again.turns("job_9")];
  again.close();

  const pool = await openPoolStore(stateDir);
  const lease = (id: string) => ({ id, jobID: id, orchestrator: "ses_1", owner: `${process.pid}:me` });
  results.leases = ["a", "b", "c"].map((id) =>
    pool.acquireLease(lease(id), ({ leases }) => (leases.length < 2 ? { slots: 1, gpu: H100 } : null), 1_000),
  );
  pool.enqueue([{ jobID: "c", owner: `${process.pid}:me`, since: 900, gpu: "H100:8|T4" }], 1_000);
  pool.changeLease({ ...lease("a"), slots: 1, gpu: H100 }, { slots: 0, gpu: H100 }, () => true, 1_000);
  const { leases: held, queue } = pool.poolState(1_000);
  results.held = [{ leases: held, queue: [...queue] }, pool.isLeaseAlive("a", 1_000), pool.isLeaseAlive("a", 99_000)];
  for (const id of ["snap_2", "snap_1"]) pool.saveSnapshot(snapshot(id));
  for (const jobID of ["job_1", "job_2"]) pool.giveLabel("ses_1", { label: "best", jobID, snapshotID: "snap_2" });
  results.snapshots = [pool.snapshots("ses_1").map(({ id, label }) => [id, label]), pool.snapshots("ses_2")];
  pool.deleteSnapshot("snap_1");
  results.left = pool.snapshots("ses_1").length;
  pool.close();

  results.newer = await failureOf(async () => {
    const database = await openDatabase(`${stateDir}/new.db`, ["CREATE TABLE a (b TEXT)", "CREATE TABLE c (d TEXT)"]);
    database.close();
    return openDatabase(`${stateDir}/new.db`, ["CREATE TABLE a (b TEXT)"]);
  });
  results.damaged = await damagedFile(`${stateDir}/damaged.db`);
  results.damagedInUse = await damagedInUse(`${stateDir}/used.db`);
  results.rolledBack = await rollBack(`${stateDir}/back.db`);
  return JSON.parse(JSON.stringify(results).replaceAll(stateDir, "DIR").replaceAll(`${process.pid}:`, "PID:"));
}

/** A database whose middle is overwritten while it is open, as a bad disk does. */
async function damagedFile(file: string): Promise<unknown> {
  const steps = ["CREATE TABLE a (b TEXT)"];
  const clock = { now: () => 0 };
  const database = await openDatabase(file, steps, { clock });
  for (let row = 0; row < 500; row++) database.run("INSERT INTO a (b) VALUES (?)", "x".repeat(100));
  database.get(anyRow, "PRAGMA wal_checkpoint(TRUNCATE)");
  const handle = openSync(file, "r+");
  writeSync(handle, "y".repeat(20_000), 4_096);
  closeSync(handle);
  const other = await openDatabase(file, steps, { clock });
  const found = [other.damaged().length, other.all(anyRow, "SELECT b FROM a").length];
  other.run("INSERT INTO a (b) VALUES (?)", "new");
  // The first process continues in the new file.
  const seen = database.transaction(() => database.all(anyRow, "SELECT b FROM a"));
  database.close();
  other.close();
  writeFileSync(file, "no database at all");
  const third = await openDatabase(file, steps, { clock });
  third.close();
  return [found, seen, third.damaged().map((path) => path.slice(path.indexOf("damaged.db")))];
}

/** A damaged database larger than SQLite's cache, so that reading it finds the damage. */
async function damagedInUse(file: string): Promise<unknown> {
  const database = await openDatabase(file, ["CREATE TABLE a (b TEXT)"], { clock: { now: () => 0 } });
  database.transaction(() => {
    for (let row = 0; row < 20_000; row++) database.run("INSERT INTO a (b) VALUES (?)", "x".repeat(500));
  });
  database.get(anyRow, "PRAGMA wal_checkpoint(TRUNCATE)");
  const handle = openSync(file, "r+");
  for (let at = 8_192; at < 9_000_000; at += 4_096) writeSync(handle, "y".repeat(100), at);
  closeSync(handle);
  const failure = await failureOf(async () => database.transaction(() => database.all(anyRow, "SELECT b FROM a")));
  database.run("INSERT INTO a (b) VALUES (?)", "new");
  const seen = database.all(anyRow, "SELECT b FROM a");
  database.close();
  return [failure.code, /is set aside.*Try again/.test(failure.message), seen, database.damaged().length];
}

async function rollBack(file: string): Promise<unknown> {
  const database = await openDatabase(file, ["CREATE TABLE a (b TEXT NOT NULL)"]);
  const thrown = attempt(() =>
    database.transaction(() => {
      database.run("INSERT INTO a (b) VALUES (?)", "x");
      database.transaction(() => database.run("INSERT INTO a (b) VALUES (?)", null));
    }),
  );
  database.transaction(() => database.run("INSERT INTO a (b) VALUES (?)", "y"));
  const rows = [
    database.all(anyRow, "SELECT b FROM a"),
    database.get(anyRow, "SELECT b FROM a WHERE b = ?", "x") ?? "none",
  ];
  database.close();
  return [thrown, rows];
}

/** The drivers' messages differ, so only the refusal is compared. */
function attempt(body: () => void): string {
  try {
    body();
    return "went through";
  } catch {
    return "refused";
  }
}

export async function failureOf(body: () => Promise<unknown>): Promise<{ code?: string; message: string }> {
  return body().then(
    () => ({ message: "went through" }),
    ({ code, message }) => ({ code, message }),
  );
}

const job = (id: string, position: number): Job =>
  jobIn(
    { kind: "queued" },
    { id, position, metrics: { a: { value: 0.5, at: "2026-01-01T00:00:00.000Z", source: "reported" } } },
  );

const snapshot = (id: string): SnapshotRecord => ({
  id,
  label: null,
  orchestrator: "ses_1",
  project: null,
  jobID: "job_1",
  parent: null,
  kind: "filesystem",
  path: null,
  provider: "local",
  sizeBytes: 1,
  files: null,
  leftOut: [],
  expiresAt: null,
  storedAs: null,
  renewedAt: null,
  createdAt: 5,
  parked: true,
  isState: true,
});
