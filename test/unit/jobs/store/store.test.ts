import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../../../../src/jobs/store/database.ts";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";
import { anyRow } from "../../../../src/jobs/store/rows.ts";
import { sessionFile } from "../../../../src/jobs/store/session-store.ts";
import { failureOf, runStoreScript } from "./store-script.ts";

let root = "";
let count = 0;
const folder = () => {
  const path = join(root, String(++count));
  mkdirSync(path);
  return path;
};
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "store-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("the stores", () => {
  test("keep their rows over closing and opening", async () => {
    const results = await runStoreScript(folder());
    expect(results.jobs).toMatchObject([{ id: "job_1", turns: 1, metrics: { a: { value: 0.5 } } }, { id: "job_2" }]);
    expect(results.turns).toMatchObject([
      [
        { id: "turn_1", state: "done", messageID: "msg_1", text: 'it\'s "turn_1" – ünïcode' },
        { id: "turn_3", state: "queued", messageID: null },
      ],
      [{ id: "turn_2" }],
      [],
    ]);
    expect(results.job).toMatchObject([{ id: "job_2" }, "none"]);
    expect(results.twice).toBe("refused"); // with its whole batch: job_3 is not among the jobs
    const gpu = { type: "H100", count: 4, exact: true };
    const lease = { orchestrator: "ses_1", owner: "PID:me", slots: 1, gpu };
    expect(results.leases).toEqual([{ ...lease, id: "a", jobID: "a" }, { ...lease, id: "b", jobID: "b" }, null]);
    const gpus = [{ type: "H100", count: 8, exact: false }, { type: "T4", count: 1, exact: false }]; // biome-ignore format: one line
    const held = {
      leases: [{ ...lease, id: "a", jobID: "a", slots: 0 }, { ...lease, id: "b", jobID: "b" }], // biome-ignore format: one line
      queue: [{ jobID: "c", owner: lease.owner, since: 900, gpus }],
    };
    expect(results.held).toEqual([held, true, false]);
    expect(results.snapshots).toEqual([[["snap_2", "best"], ["snap_1", null]], []]); // biome-ignore format: one line
    expect(results.left).toBe(1);
    const aside = "damaged.db.damaged-1970-01-01T00-00-00.000Z";
    expect(results.damaged).toEqual([[1, 0], [{ b: "new" }], [`${aside}-2`]]); // biome-ignore format: one line
    expect(results.damagedInUse).toEqual(["config_invalid", true, [{ b: "new" }], 1]);
    expect(results.rolledBack).toEqual(["refused", [[{ b: "y" }], "none"]]);
  });

  test("refuse a file of a newer version and leave it unchanged", async () => {
    const { newer } = await runStoreScript(folder());
    expect(newer).toMatchObject({
      code: "config_invalid",
      message: expect.stringMatching(/new\.db .*newer version.*stateDir/),
    });
  });

  test("refuse a path as a session id", () => {
    expect(sessionFile("/s", "ses_Ab-1")).toBe("/s/sessions/ses_Ab-1.db");
    for (const id of ["", "../pool", "a/b", "a.b", "x".repeat(129)]) expect(() => sessionFile("/s", id)).toThrow();
  });
});

/** A snapshot as earlier versions recorded it: with its label, and without newer fields. */
const FORMER_SNAPSHOT = {
  orchestrator: "ses_1",
  parent: null,
  kind: "filesystem",
  provider: "local",
  sizeBytes: null,
  parked: false,
};

describe("opening a database", () => {
  test("migrates an older file once without losing its rows", async () => {
    const file = join(folder(), "a.db");
    const steps = [
      "CREATE TABLE a (b TEXT)",
      "ALTER TABLE a ADD c TEXT; UPDATE a SET c = b",
      "CREATE TABLE d (e TEXT)",
    ];
    const old = await openDatabase(file, steps.slice(0, 1));
    old.run("INSERT INTO a (b) VALUES (?)", "kept");
    old.close();
    for (let opening = 0; opening < 2; opening++) {
      const database = await openDatabase(file, steps);
      expect(database.all(anyRow, "SELECT * FROM a")).toEqual([{ b: "kept", c: "kept" }]);
      expect(database.get(anyRow, "PRAGMA user_version")).toEqual({ user_version: 3 });
      expect(database.get(anyRow, "PRAGMA journal_mode")).toEqual({ journal_mode: "wal" });
      database.close();
    }
  });

  test("rolls a failing migration back, so that the next version can try again", async () => {
    const file = join(folder(), "a.db");
    const broken = ["CREATE TABLE a (b TEXT)", "CREATE TABLE c (d TEXT); CREATE TABLE a (b TEXT)"];
    expect(await failureOf(() => openDatabase(file, broken))).toMatchObject({ code: "config_invalid" });
    using database = new Database(file);
    expect(database.query("SELECT name FROM sqlite_schema").all()).toEqual([]);
  });

  test("gives each label of an earlier version to its first job, on that job's newest snapshot", async () => {
    const path = folder();
    const record = (id: string, jobID: string, label: string | null, createdAt: number) =>
      [id, "ses_1", createdAt, JSON.stringify({ ...FORMER_SNAPSHOT, id, jobID, label, createdAt })] as const;
    (await openPoolStore(path)).close();
    const database = new Database(join(path, "pool.db"));
    for (const later of ["labels", "losses"]) database.run(`DROP TABLE ${later}`);
    const { user_version } = database.query("PRAGMA user_version").get() as { user_version: number };
    database.run(`PRAGMA user_version = ${user_version - 2}`);
    for (const row of [
      record("snap_1", "job_1", "best", 1),
      record("snap_2", "job_1", "best", 2),
      record("snap_3", "job_2", "best", 3),
      record("snap_4", "job_2", "mine", 4),
      record("snap_5", "job_2", null, 5),
    ])
      database.run("INSERT INTO snapshots (id, orchestrator, created_at, record) VALUES (?, ?, ?, ?)", [...row]);
    database.close();
    const pool = await openPoolStore(path);
    expect(pool.snapshots("ses_1").map(({ id, label }) => [id, label])).toEqual([
      ["snap_1", null],
      ["snap_2", "best"],
      ["snap_3", null],
      ["snap_4", "mine"],
      ["snap_5", null],
    ]);
    expect(pool.labelled("ses_1", "BEST")).toEqual({ label: "best", jobID: "job_1", snapshotID: "snap_2" });
    pool.close();
  });

  test("creates its folder for the user only", async () => {
    const path = join(folder(), "made", "here");
    (await openDatabase(join(path, "a.db"), [])).close();
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  test("over a folder that is a file names the file and the option", async () => {
    const path = join(folder(), "state");
    writeFileSync(path, "");
    const failure = await failureOf(() => openDatabase(join(path, "a.db"), []));
    expect(failure).toHaveProperty("code", "config_invalid");
    for (const named of [join(path, "a.db"), '"stateDir"']) expect(String(failure.message)).toContain(named);
  });

  test.skipIf(process.getuid?.() === 0)(
    "in a folder that cannot be written names the file and the option",
    async () => {
      const path = folder();
      chmodSync(path, 0o500);
      expect(await failureOf(() => openDatabase(join(path, "a.db"), []))).toMatchObject({ code: "config_invalid" });
    },
  );
});
