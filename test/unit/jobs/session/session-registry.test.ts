import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Job } from "../../../../src/core/job.ts";
import type { JobChange, SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import { createSessionRegistry } from "../../../../src/jobs/session/session-registry.ts";
import { openSessionStore, sessionFile } from "../../../../src/jobs/store/session-store.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";
import { jobIn } from "../../views/job-in.ts";

const SESSION = "ses_1";

let stateDir = "";
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "registry-"));
});
afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

function openRegistry() {
  const clock = createFakeClock();
  const logged: string[] = [];
  let count = 0;
  const ids = (prefix: string) => `${prefix}_${++count}`;
  const log = (level: string, message: string) => void logged.push(`${level}: ${message}`);
  return { clock, logged, registry: createSessionRegistry({ stateDir, clock, ids, log }) };
}

/** Writes the state file of a session that has one job. */
async function writeSession(orchestrator = SESSION): Promise<void> {
  const store = await openSessionStore(sessionFile(stateDir, orchestrator));
  const job = { ...jobIn({ kind: "queued" }), orchestrator };
  const turn = { id: "turn_1", jobID: job.id, position: 1, text: "p", messageID: null, update: null } as const;
  store.insert([{ job, turn: { ...turn, state: "queued" } }]);
  store.close();
}

const damageSession = () => writeFileSync(sessionFile(stateDir, SESSION), "no database at all");
const idsOf = async (sessionJobs: SessionJobs | null) => sessionJobs?.all().map(({ id }) => id) ?? null;
const addNote = (job: Job): Job => ({ ...job, notes: ["seen"] });
const noDamage = (aside: string) => {
  throw new Error(`unexpected damage: ${aside}`);
};

describe("a visit", () => {
  test("of a session that is not open reads and writes its jobs, publishes no change and leaves it closed", async () => {
    await writeSession();
    const { registry } = openRegistry();
    const changes: JobChange[] = [];
    registry.onChange((change) => changes.push(change));
    const visited = await registry.visit(
      SESSION,
      async (sessionJobs) => {
        sessionJobs?.update("job_1", addNote);
        return sessionJobs;
      },
      noDamage,
    );
    expect(() => visited?.notices()).toThrow(); // its store is closed
    expect([registry.inUse(SESSION), await registry.allInUse(), changes]).toEqual([null, [], []]);
    const notes = await registry.visit(SESSION, async (jobs) => jobs?.get("job_1")?.notes, noDamage);
    expect(notes).toEqual(["seen"]);
  });

  test("closes the session even when its use fails", async () => {
    await writeSession();
    const { registry } = openRegistry();
    let visited: SessionJobs | null = null;
    const visiting = registry.visit(
      SESSION,
      async (sessionJobs) => {
        visited = sessionJobs;
        throw new Error("use failed");
      },
      noDamage,
    );
    await expect(visiting).rejects.toThrow("use failed");
    expect(() => (visited as SessionJobs | null)?.notices()).toThrow();
  });

  test("of a session that is open uses the open one and leaves it open", async () => {
    await writeSession();
    const { registry } = openRegistry();
    const open = await registry.open(SESSION);
    const changes: JobChange[] = [];
    registry.onChange((change) => changes.push(change));
    const visited = await registry.visit(
      SESSION,
      async (sessionJobs) => {
        sessionJobs?.update("job_1", addNote);
        return sessionJobs;
      },
      noDamage,
    );
    expect(visited).toBe(open);
    expect(changes).toMatchObject([{ before: { notes: [] }, job: { notes: ["seen"] } }]);
    expect(open.notices()).toEqual([]);
    await registry.close();
  });

  test("of a session that was deleted gets null and creates no file", async () => {
    const { registry } = openRegistry();
    expect(await registry.visit(SESSION, idsOf, noDamage)).toBeNull();
    expect([registry.isDeleted(SESSION), registry.damagedAt(SESSION)]).toEqual([true, null]);
    expect(readdirSync(stateDir)).toEqual([]);
  });

  test("of a damaged session reports the damage once and finds no jobs; the damage is remembered", async () => {
    await writeSession();
    await writeSession("ses_2");
    damageSession();
    const { registry, clock, logged } = openRegistry();
    const reported: string[] = [];
    for (let visits = 0; visits < 2; visits++) {
      const ids = await registry.visit(SESSION, idsOf, (aside) => reported.push(aside));
      expect(ids).toEqual([]);
    }
    expect(reported).toEqual([expect.stringContaining("ses_1.db.damaged-")]);
    expect(existsSync(reported[0] ?? "")).toBe(true);
    expect(registry.damaged(SESSION)).toEqual(reported);
    expect([registry.damagedAt(SESSION), registry.isDeleted(SESSION)]).toEqual([clock.now(), false]);
    expect(logged).toEqual(["error: a damaged state file was set aside"]);
    expect(await registry.visit("ses_2", idsOf, noDamage)).toEqual(["job_1"]);
    expect([registry.damaged("ses_2"), registry.damagedAt("ses_2")]).toEqual([[], null]);
  });
});

describe("opening", () => {
  test("reads a session's jobs once, even for concurrent calls", async () => {
    await writeSession();
    const { registry } = openRegistry();
    const [first, second] = await Promise.all([registry.open(SESSION), registry.open(SESSION)]);
    expect(second).toBe(first as SessionJobs);
    expect(await idsOf(first)).toEqual(["job_1"]);
    expect([await registry.inUse(SESSION), await registry.allInUse()]).toEqual([first, [first]]);
    await registry.close();
  });

  test("is refused once the registry is suspended, while visits and open sessions go on", async () => {
    await writeSession();
    await writeSession("ses_2");
    const { registry } = openRegistry();
    const open = await registry.open("ses_2");
    registry.suspend();
    for (const orchestrator of [SESSION, "ses_2"])
      await expect(registry.open(orchestrator)).rejects.toMatchObject({ code: "cancelled", retryable: true });
    expect([registry.inUse(SESSION), await registry.inUse("ses_2")]).toEqual([null, open]);
    expect(await registry.visit(SESSION, idsOf, noDamage)).toEqual(["job_1"]);
    await registry.close();
  });

  test("a session that was removed gives an empty session, without what was set aside", async () => {
    await writeSession();
    damageSession();
    const { registry } = openRegistry();
    const damaged = await registry.open(SESSION);
    await registry.remove(SESSION);
    expect(() => damaged.notices()).toThrow(); // its store is closed
    expect([registry.isDeleted(SESSION), registry.damagedAt(SESSION)]).toEqual([true, null]);
    expect([registry.inUse(SESSION), readdirSync(join(stateDir, "sessions"))]).toEqual([null, []]);
    const again = await registry.open(SESSION);
    expect(again).not.toBe(damaged);
    expect(await idsOf(again)).toEqual([]);
    expect(registry.isDeleted(SESSION)).toBe(false);
    await registry.close();
  });
});
