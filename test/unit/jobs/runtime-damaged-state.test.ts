import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { forgetSession } from "../../../src/jobs/actions/forget-session.ts";
import { sessionFile } from "../../../src/jobs/store/session-store.ts";
import { inWorld, leaseCount, ORCHESTRATOR, startIn, type World } from "./runtime-world.ts";

/* State files found damaged, while processes are running and after they have died. */

const SECOND = 1_000;
const NO_DATABASE = "no database at all";

/** Overwrites all of a database in place while processes have it open, as a bad disk does. */
function damage(file: string): void {
  for (const path of [file, `${file}-wal`]) {
    const handle = openSync(path, "r+");
    writeSync(handle, "x".repeat(Math.max(statSync(path).size, 8_192)), 0);
    closeSync(handle);
  }
}

const sandboxIDs = ({ machine }: World) => machine.sandboxes().map(({ id }) => id);
const poolFile = ({ stateDir }: World) => join(stateDir, "pool.db");

test(
  "jobs go on when the pool is damaged under a running process, and hold their slots again within seconds",
  inWorld(
    async (world) => {
      const [running = "", queued = ""] = await world.start("work 60000 1", "say 2");
      await world.reaches(running, "running");
      expect(leaseCount(world.runtime)).toBe(1);
      damage(poolFile(world));
      const other = await world.open({ maxRunningJobs: 1 });
      expect(other.pool.damaged()).toHaveLength(1);
      expect(other.notices(ORCHESTRATOR)).toEqual([expect.stringContaining(other.pool.damaged()[0] as string)]);
      expect(leaseCount(other)).toBe(0);
      const before = sandboxIDs(world);
      expect(await other.collectGarbage()).toMatchObject({ ended: [], failures: [] });
      expect(sandboxIDs(world)).toEqual(before);
      await world.clock.advance(6 * SECOND);
      expect([leaseCount(other), leaseCount(world.runtime)]).toEqual([1, 1]);
      expect(world.job(queued).state.kind).toBe("queued"); // the limit of one job holds after the loss too
      await world.reaches(running, "completed");
      await world.reaches(queued, "completed");
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "another process starts no job beyond the limit until leases lost with the pool are recorded again",
  inWorld(
    async (world) => {
      const [id = ""] = await world.start("work 60000 1");
      await world.reaches(id, "running");
      damage(poolFile(world));
      const other = await world.open();
      const [job] = await startIn(other, "ses_other", "say 1");
      const sessionJobs = await other.sessionJobs("ses_other");
      const stateOfJob = () => sessionJobs.get(job?.id ?? "")?.state.kind;
      for (let second = 0; second < 40; second++) {
        await world.clock.advance(SECOND);
        expect(stateOfJob()).toBe("queued");
      }
      await world.reaches(id, "completed");
      await world.clock.until("the other job completes", () => stateOfJob() === "completed");
    },
    { maxRunningJobs: 1 },
  ),
);

/** What a start may find in the place of the pool. */
const remains: [what: string, damage: (file: string) => void][] = [
  ["no database", (file) => writeFileSync(file, NO_DATABASE)],
  [
    "a folder",
    (file) => {
      rmSync(file);
      mkdirSync(join(file, "inside"), { recursive: true });
    },
  ],
  [
    "a database without a table",
    (file) => {
      using database = new Database(file);
      database.run("DROP TABLE sandboxes");
    },
  ],
  ["an empty file", (file) => writeFileSync(file, "")],
  ["nothing", (file) => rmSync(file)],
];
for (const [what, damage] of remains)
  test(
    `a start that finds ${what} in the pool's place terminates no job's sandbox, and an interrupted job resumes in its own`,
    inWorld(async (world) => {
      const [id = "", other = ""] = await world.start("hang", "say 1");
      await world.reaches(id, "running");
      await world.reaches(other, "completed");
      await world.close(world.runtime);
      damage(poolFile(world));
      const runtime = await world.reopen();
      const asides = readdirSync(world.stateDir).filter((name) => name.includes(".damaged-"));
      expect(runtime.notices(ORCHESTRATOR)).toEqual([
        expect.stringContaining(asides[0] ?? "pool.db, was missing or empty and is begun anew"),
      ]);
      const before = sandboxIDs(world);
      expect(await runtime.collectGarbage()).toMatchObject({ ended: [], failures: [] });
      expect(sandboxIDs(world)).toEqual(before);
      expect(world.job(other).state).toMatchObject({ kind: "completed" });
      await world.clock.advance(20 * SECOND);
      await world.reaches(id, "running");
      expect(sandboxIDs(world)).toEqual(before);
    }),
  );

test(
  "a pool that is deleted under running processes is made anew, and they hold their slots in it again",
  inWorld(
    async (world) => {
      const [running = ""] = await world.start("work 60000 1");
      await world.reaches(running, "running");
      rmSync(poolFile(world));
      const other = await world.open({ maxRunningJobs: 1 });
      await world.clock.advance(6 * SECOND);
      expect([leaseCount(other), leaseCount(world.runtime)]).toEqual([1, 1]);
      await world.reaches(running, "completed");
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "garbage collection reports a damaged session and keeps its sandbox for a day; deleting the session removes its files",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    const [sandboxID = ""] = sandboxIDs(world);
    await world.close(world.runtime);
    writeFileSync(sessionFile(world.stateDir, ORCHESTRATOR), NO_DATABASE);
    const runtime = await world.open();
    world.runtime = runtime;
    const report = await runtime.collectGarbage();
    const [aside = ""] = readdirSync(join(world.stateDir, "sessions")).filter((name) => name.includes(".damaged-"));
    expect(report).toMatchObject({ ended: [], failures: [expect.stringContaining(aside)] });
    expect((await runtime.sessionJobs(ORCHESTRATOR)).all()).toEqual([]);
    const [next = ""] = await world.start("say 1");
    await world.reaches(next, "completed");
    expect(sandboxIDs(world)).toContain(sandboxID);
    await world.clock.advance(25 * 3600 * SECOND);
    expect(sandboxIDs(world)).not.toContain(sandboxID);
    await forgetSession(runtime, ORCHESTRATOR);
    expect(readdirSync(join(world.stateDir, "sessions"))).toEqual([]);
  }),
);

test(
  "a session that is found damaged when it is opened gets a notice, and no other session does",
  inWorld(async (world) => {
    await world.start("say 1");
    await world.close(world.runtime);
    writeFileSync(sessionFile(world.stateDir, ORCHESTRATOR), NO_DATABASE);
    const runtime = await world.open();
    expect((await runtime.sessionJobs(ORCHESTRATOR)).all()).toEqual([]);
    expect(runtime.notices(ORCHESTRATOR)).toEqual([expect.stringContaining(".db.damaged-")]);
    expect(runtime.notices("ses_other")).toEqual([]);
    expect(world.loggedProblems).toContainEqual(expect.stringContaining("a damaged state file was set aside"));
  }),
);
