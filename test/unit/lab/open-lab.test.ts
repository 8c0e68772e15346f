import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../../../src/jobs/store/database.ts";
import { openSessionStore, sessionFile } from "../../../src/jobs/store/session-store.ts";
import type { Lab } from "../../../src/lab/lab.ts";
import { openLab } from "../../../src/lab/open-lab.ts";
import { createFakeClock } from "../../support/fake-clock.ts";
import { AT, jobIn } from "../views/job-in.ts";
import { runLabScript } from "./lab-script.ts";

let root = "";
let count = 0;
const folder = () => {
  const path = join(root, String(++count));
  mkdirSync(join(path, "sessions"), { recursive: true });
  return path;
};
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "lab-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const clock = createFakeClock(AT);
const opened: Lab[] = [];
const open = async (stateDir: string) => {
  const lab = await openLab({ stateDir, clock });
  opened.push(lab);
  return lab;
};
afterAll(() => {
  for (const lab of opened) lab.close();
});

/** A session with these jobs, which no process has open. */
async function leave(stateDir: string, session: string, ids: readonly string[]): Promise<string> {
  const file = sessionFile(stateDir, session);
  const store = await openSessionStore(file, clock);
  store.insert(ids.map((id, position) => ({ job: jobIn({ kind: "queued" }, { id, position }), turn: null })));
  store.close();
  return file;
}

test("shows what is recorded, beside the process that writes it and after its end, and makes no file", async () => {
  const results = await runLabScript(folder());
  expect(results).toMatchObject({
    nothing: [[], null, null, []],
    made: ["sessions"],
    empty: null,
    queued: {
      session: "ses_1",
      isLive: false,
      jobs: [["job_1", "queued", undefined, { model: 0.5, compute: 0 }]],
      pool: { running: 0, queued: 0, maxRunning: null, gpus: { total: { used: 0, limit: null } } },
      problems: [],
    },
    heardOfNothing: 0,
    heardOnce: 1,
    heardAfterStop: 1,
    completed: { jobs: [["job_1", "completed", "again", { model: 0.5, compute: 0 }]], spend: { usd: 0.5 } },
    series: [["loss", { points: [{ value: 1.5, step: 3 }] }]],
    live: { isLive: true, pool: { maxRunning: 2, gpus: { total: { used: 0, limit: 4 } } }, problems: ["a problem"] },
    watched: { since: expect.any(Number) },
    taken: [true, false],
    answer: { kind: "done", text: "It's done." },
    left: [],
    ended: { kind: "refused", code: "not_found" },
    noLedger: null,
    ranked: [{ metric: "val_loss", direction: "min" }, { metric: "acc", count: 2 }, { missing: "nothing" }],
    stranger: null,
    closed: ["ses_1.db"],
    alone: ["again"],
    sessions: [["ses_1", "project_1"]],
    others: [],
    madeNothing: ["ses_1.db"],
  });
  expect((results.ranked as unknown[])[1]).toEqual(results.asTool);
});

test("shows the other jobs where the record of one cannot be read, and names that one", async () => {
  const stateDir = folder();
  const file = await leave(stateDir, "ses_1", ["job_1", "job_2", "job_3"]);
  const database = await openDatabase(file, ["", "", ""]);
  database.run(`UPDATE jobs SET record = '{"state": 5}' WHERE id = 'job_2'`);
  database.close();
  const view = (await open(stateDir)).view("ses_1");
  expect(view?.jobs.map(({ id }) => id)).toEqual(["job_1", "job_3"]);
  expect(view?.problems).toEqual([expect.stringMatching(/^A job of this session is not shown: row "job_2" of jobs/)]);
});

test("says of a file that is damaged, no database, of a newer version or no file that it cannot be read, and leaves it alone", async () => {
  const stateDir = folder();
  const lab = await open(stateDir);
  writeFileSync(sessionFile(stateDir, "ses_text"), "not a database at all, but long enough to look at ".repeat(20));
  const sound = readFileSync(await leave(stateDir, "ses_cut", ["job_1"]));
  writeFileSync(sessionFile(stateDir, "ses_cut"), sound.subarray(0, 5_000));
  const newer = await openDatabase(await leave(stateDir, "ses_newer", ["job_1"]), ["", "", ""]);
  newer.run("PRAGMA user_version = 99");
  newer.close();
  mkdirSync(sessionFile(stateDir, "ses_folder"));
  writeFileSync(sessionFile(stateDir, "ses_empty"), "");
  writeFileSync(join(stateDir, "pool.db"), "neither is this one a database ".repeat(40));
  const before = readdirSync(join(stateDir, "sessions")).sort();
  const problemsOf = (session: string) => lab.view(session)?.problems.join("\n");
  expect(problemsOf("ses_text")).toContain("is damaged and cannot be read");
  expect(problemsOf("ses_cut")).toContain("is damaged and cannot be read");
  expect(problemsOf("ses_newer")).toContain("newer version of opencode-parallel-agents");
  expect(problemsOf("ses_folder")).toContain("it is no file");
  expect(problemsOf("ses_text")).toContain("Slots, GPUs and snapshots are not known");
  expect(lab.view("ses_empty")).toBeNull();
  await leave(stateDir, "ses_asked_only", []);
  before.push("ses_asked_only.db");
  // A session without jobs is none to choose; one that cannot be read is.
  const listed = lab.sessions(null).map(({ id }) => id);
  expect(listed.sort()).toEqual(["ses_cut", "ses_folder", "ses_newer", "ses_text"]);
  expect(readdirSync(join(stateDir, "sessions")).sort()).toEqual(before.sort());
});

test("follows a session whose file is deleted, and made anew, while it is watched", async () => {
  const stateDir = folder();
  const file = await leave(stateDir, "ses_1", ["job_1"]);
  const lab = await open(stateDir);
  let heard = 0;
  lab.watch("ses_1", 100, () => heard++);
  expect(lab.view("ses_1")?.jobs).toHaveLength(1);
  renameSync(file, `${file}.damaged-1`);
  await clock.advance(100);
  expect([heard, lab.view("ses_1")]).toEqual([1, null]);
  await leave(stateDir, "ses_1", ["job_1", "job_2"]);
  await clock.advance(100);
  expect([heard, lab.view("ses_1")?.jobs.length]).toEqual([2, 2]);
});

test("reads a session of an earlier version, whose file lacks the newer tables", async () => {
  const stateDir = folder();
  const database = await openDatabase(sessionFile(stateDir, "ses_1"), [
    "CREATE TABLE jobs (id TEXT PRIMARY KEY, position INTEGER NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL)",
  ]);
  database.run("INSERT INTO jobs VALUES ('job_1', 1, 'queued', ?)", JSON.stringify(jobIn({ kind: "queued" })));
  database.close();
  const lab = await open(stateDir);
  expect(lab.view("ses_1")).toMatchObject({ jobs: [{ id: "job_1" }], problems: [] });
  expect(lab.series("ses_1", "job_1")).toEqual(new Map());
});
