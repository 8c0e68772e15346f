import { expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { forgetSession } from "../../../../src/jobs/actions/forget-session.ts";
import { startJobs } from "../../../../src/jobs/actions/start-jobs.ts";
import { sessionFile } from "../../../../src/jobs/store/session-store.ts";
import { CATALOG, inWorld, leaseCount, ORCHESTRATOR, type World } from "../runtime-world.ts";

/* State files that turn out to be damaged, while processes live and after they died. */

/** Writes over all of a file in place, whoever has it open: as a bad disk does. */
function damage(file: string): void {
  for (const path of [file, `${file}-wal`]) {
    const handle = openSync(path, "r+");
    writeSync(handle, "x".repeat(Math.max(statSync(path).size, 8_192)), 0);
    closeSync(handle);
  }
}

const unterminated = ({ machine }: World) => machine.sandboxes().map(({ id }) => id);
const pool = ({ stateDir }: World) => join(stateDir, "pool.db");
const SECOND = 1_000;

test(
  "with the pool's records lost under a living process its jobs go on, and are counted again within seconds",
  inWorld(
    async (world) => {
      const [running = "", queued = ""] = await world.start("work 60000 1", "say 2");
      await world.reaches(running, "running");
      expect(leaseCount(world.runtime)).toBe(1);
      damage(pool(world));
      const other = await world.open({ maxRunningJobs: 1 });
      expect(other.pool.damaged()).toHaveLength(1);
      expect(other.notices(ORCHESTRATOR)).toEqual([expect.stringContaining(other.pool.damaged()[0] as string)]);
      expect(leaseCount(other)).toBe(0);
      const before = unterminated(world);
      expect(await other.collectGarbage()).toMatchObject({ ended: [], failures: [] });
      expect(unterminated(world)).toEqual(before);
      await world.clock.advance(6 * SECOND);
      expect([leaseCount(other), leaseCount(world.runtime)]).toEqual([1, 1]);
      expect(world.job(queued).state.kind).toBe("queued"); // one at once, also after the loss
      await world.reaches(running, "completed");
      await world.reaches(queued, "completed");
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "another process starts nothing beyond the limit while it does not know what is held",
  inWorld(
    async (world) => {
      const [id = ""] = await world.start("work 60000 1");
      await world.reaches(id, "running");
      damage(pool(world));
      const other = await world.open();
      const sessionJobs = await other.sessionJobs("ses_other");
      const [job] = await startJobs(other, [{ description: "x", prompt: "say 1" }], {
        orchestrator: "ses_other",
        catalog: CATALOG,
        forbidden: [],
        orchestratorModel: "acme/large",
      });
      const stateOf = () => sessionJobs.get(job?.id ?? "")?.state.kind;
      for (let second = 0; second < 40; second++) {
        await world.clock.advance(SECOND);
        expect(stateOf()).toBe("queued");
      }
      await world.reaches(id, "completed");
      await world.clock.until("the other starts", () => stateOf() === "completed");
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "after a start with the pool's records lost no sandbox of a job is ended, and its job goes on in it",
  inWorld(async (world) => {
    const [id = "", other = ""] = await world.start("hang", "say 1");
    await world.reaches(id, "running");
    await world.reaches(other, "completed");
    await world.close(world.runtime);
    writeFileSync(pool(world), "no database at all");
    const runtime = await world.reopen();
    expect(runtime.pool.damaged()).toHaveLength(1);
    const before = unterminated(world);
    expect(await runtime.collectGarbage()).toMatchObject({ ended: [], failures: [] });
    expect(unterminated(world)).toEqual(before);
    expect(world.job(other).state).toMatchObject({ kind: "completed" });
    await world.clock.advance(20 * SECOND);
    await world.reaches(id, "running");
    expect(unterminated(world)).toEqual(before);
  }),
);

test(
  "with a session's records lost the others' go on, its sandbox is kept for a day, and the loss is told",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    const [sandbox] = unterminated(world);
    await world.close(world.runtime);
    writeFileSync(sessionFile(world.stateDir, ORCHESTRATOR), "no database at all");
    const runtime = await world.open();
    world.runtime = runtime;
    const report = await runtime.collectGarbage();
    const [aside = ""] = readdirSync(join(world.stateDir, "sessions")).filter((name) => name.includes(".damaged-"));
    expect(report).toMatchObject({ ended: [], failures: [expect.stringContaining(aside)] });
    expect((await runtime.sessionJobs(ORCHESTRATOR)).all()).toEqual([]);
    const ids = await world.start("say 1");
    await world.reaches(ids[0] as string, "completed");
    expect(unterminated(world)).toContain(sandbox as string);
    await world.clock.advance(25 * 3600 * SECOND);
    expect(unterminated(world)).not.toContain(sandbox as string);
    await forgetSession(runtime, ORCHESTRATOR);
    expect(readdirSync(join(world.stateDir, "sessions"))).toEqual([]);
  }),
);

test(
  "a session whose records are found damaged when it is used is told so with its status",
  inWorld(async (world) => {
    await world.start("say 1");
    await world.close(world.runtime);
    writeFileSync(sessionFile(world.stateDir, ORCHESTRATOR), "no database at all");
    const runtime = await world.open();
    expect((await runtime.sessionJobs(ORCHESTRATOR)).all()).toEqual([]);
    expect(runtime.notices(ORCHESTRATOR)).toEqual([expect.stringContaining(".db.damaged-")]);
    expect(runtime.notices("ses_other")).toEqual([]);
    expect(world.loggedProblems).toContainEqual(expect.stringContaining("a damaged state file was set aside"));
  }),
);
