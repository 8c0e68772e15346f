import { Database } from "bun:sqlite";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Job } from "../../../../src/core/job.ts";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";
import type { Turn } from "../../../../src/jobs/store/session-store.ts";
import { openSessionStore, sessionFile } from "../../../../src/jobs/store/session-store.ts";
import { PluginError } from "../../../../src/shared/error-code.ts";
import { jobIn } from "../../views/job-in.ts";

/* Rows of sound database files that are not what was written, or were written by an earlier version. */

let root = "";
let stateDir = "";
const session = () => sessionFile(stateDir, "ses_1");
const pool = () => join(stateDir, "pool.db");
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "rows-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  stateDir = mkdtempSync(join(root, "dir-"));
});

function edit(file: string, ...statements: string[]): void {
  const database = new Database(file);
  for (const statement of statements) database.run(statement);
  database.close();
}

const turn: Turn = { id: "turn_1", jobID: "job_1", position: 1, text: "t", state: "queued", messageID: null, update: null }; // biome-ignore format: one line

/** A job that has ended, with its turn and its notice. */
async function fillSession(): Promise<void> {
  const store = await openSessionStore(session());
  store.insert([{ job: jobIn({ kind: "queued" }), turn }]);
  store.saveEnded(jobIn({ kind: "completed", result: "done" }));
  store.close();
}

async function fillPool(): Promise<void> {
  const store = await openPoolStore(stateDir);
  const lease = { id: "lease_1", jobID: "job_1", orchestrator: "ses_1", owner: `${process.pid}:me` };
  store.acquireLease(lease, () => ({ slots: 1, gpu: null }), 1_000);
  store.enqueue([{ jobID: "job_2", owner: lease.owner, since: 1, gpu: null }], 1_000);
  store.insertSandbox("sb_1", "local", "job_1", "ses_1", 1_000);
  store.close();
}

describe("a row of a session that cannot be parsed", () => {
  const DAMAGES = {
    "a record that is no JSON": "UPDATE jobs SET record = '{\"id\": '",
    "a record without a task": "UPDATE jobs SET record = json_remove(record, '$.task')",
    "a state that nobody knows": "UPDATE jobs SET record = json_set(record, '$.state.kind', 'asleep')",
    "a failed job without a failure": "UPDATE jobs SET record = json_set(record, '$.state.kind', 'failed')",
    "a turn in no state": "UPDATE turns SET state = 'lost'",
    "a notice of a job that runs": "UPDATE outbox SET job = json_set(job, '$.state.kind', 'queued')",
    "a delivery of no kind": "UPDATE outbox SET delivery = '{}'",
  };
  for (const [what, damage] of Object.entries(DAMAGES))
    test(`sets its file aside when it is opened: ${what}`, async () => {
      await fillSession();
      edit(session(), damage);
      const store = await openSessionStore(session());
      const [aside = "", ...others] = store.damaged();
      expect([others, store.jobs(), store.notices.all()]).toEqual([[], [], []]);
      store.insert([{ job: jobIn({ kind: "queued" }), turn }]);
      expect(store.jobs()).toMatchObject([{ id: "job_1" }]);
      store.close();
      using kept = new Database(aside, { readonly: true });
      expect(kept.query("SELECT id FROM jobs").all()).toEqual([{ id: "job_1" }]);
    });

  test("leaves its file in place while it is open, and the error names file, table and row", async () => {
    await fillSession();
    const store = await openSessionStore(session());
    edit(session(), DAMAGES["a record without a task"]);
    let thrown: unknown = null;
    try {
      store.jobs();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(PluginError);
    expect(thrown).toMatchObject({ code: "config_invalid", retryable: false });
    for (const named of [session(), 'row "job_1" of jobs', "record.task", "Restart every OpenCode"])
      expect((thrown as Error).message).toContain(named);
    expect([store.turns("job_1").length, store.damaged()]).toEqual([1, []]);
    store.close();
  });
});

for (const [table, damage] of [
  ["leases", "UPDATE leases SET slots = 7"],
  ["queue", "UPDATE queue SET since = 'yesterday'"],
  ["sandboxes", "UPDATE sandboxes SET provider = 'elsewhere'"],
] as const)
  test(`a row of ${table} that cannot be parsed sets the shared file aside`, async () => {
    await fillPool();
    edit(pool(), damage);
    const store = await openPoolStore(stateDir);
    expect(store.damaged()).toHaveLength(1);
    const { leases, queue } = store.poolState(1_000);
    expect([...store.sandboxes(), ...leases, ...queue]).toEqual([]);
    store.close();
  });

test("reads a session of an earlier version, with defaults for fields that it did not have", async () => {
  await fillSession();
  edit(
    session(),
    ...["compute", "formerBases", "update", "notes", "task.forbidden", "task.timeoutMinutes", "task.maxUsd"].map(
      (field) => `UPDATE jobs SET record = json_remove(record, '$.${field}')`,
    ),
  );
  const store = await openSessionStore(session());
  expect(store.damaged()).toEqual([]);
  expect(store.jobs()).toEqual([jobIn({ kind: "completed", result: "done" })]);
  expect(store.turns("job_1")).toHaveLength(1);
  expect(store.notices.all()).toMatchObject([{ job: { id: "job_1" }, delivery: null }]);
  store.close();
});

test("leaves a file as the earlier version, which may still have it open, needs it to record the end of a job", async () => {
  await fillSession();
  const store = await openSessionStore(session());
  store.close();
  edit(session(), `INSERT INTO events (job, at, kind, data) VALUES ('job_1', 1, 'state', '{"kind":"completed"}')`);
  using database = new Database(session(), { readonly: true });
  expect(database.query("PRAGMA user_version").get()).toEqual({ user_version: 3 });
});

test("an invalid count from the host does not make its job unreadable", async () => {
  await fillSession();
  const store = await openSessionStore(session());
  const tokens = { input: Number.NaN, output: 2 } as Job["tokens"]; // an earlier version counted no others
  store.saveJob({ ...jobIn({ kind: "queued" }), modelUsd: Number.NaN, tokens });
  expect(store.jobs()).toMatchObject([{ modelUsd: 0, tokens: { input: 0, output: 2, cached: 0, reasoning: 0 } }]);
  store.close();
});

test("reads metrics of any name: a job that chooses one well must not make the session's file unreadable", async () => {
  await fillSession();
  const store = await openSessionStore(session());
  const names = ["constructor", "__proto__", "toString", "val loss"];
  const metrics = Object.fromEntries(
    names.map((name, index) => [name, { value: index, step: 1, at: "now", source: "output" as const }]),
  );
  store.saveJob({ ...jobIn({ kind: "queued" }), metrics });
  expect(store.jobs().map((job) => Object.entries(job.metrics))).toEqual([Object.entries(metrics)]);
  expect(store.damaged()).toEqual([]);
  store.close();
});
