import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { benchmarkSchema } from "../../../../src/config/benchmark.ts";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { scoreJobs } from "../../../../src/jobs/actions/score-jobs.ts";
import { sessionFile } from "../../../../src/jobs/store/session-store.ts";
import { inWorld, leaseCount, ORCHESTRATOR, storedJob, type World } from "../runtime-world.ts";
import { MIN } from "./lost-sandbox-support.ts";
import { begun, exited, followRuns, run } from "./runs-support.ts";

/** Has SQLite refuse to write the session's jobs, as on a full disk, until the returned function is called. */
function fillDisk(world: World, jobID?: string): () => void {
  const change = (sql: string) => {
    const database = new Database(sessionFile(world.stateDir, ORCHESTRATOR));
    database.run(sql);
    database.close();
  };
  const which = jobID === undefined ? "" : `WHEN NEW.id = '${jobID}'`;
  change(
    `CREATE TRIGGER full BEFORE INSERT ON jobs ${which} BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`,
  );
  return () => change("DROP TRIGGER full");
}

describe("where the state cannot be written", () => {
  test(
    "a run that has ended keeps its result until there is room, and is not run again",
    inWorld(async (world) => {
      const started = followRuns(world);
      const [id = ""] = await world.start(run("train"));
      const { process } = await begun(world, started);
      process.print("METRIC loss=1\nMETRIC loss=oops\n");
      await world.clock.advance(3_000);
      const free = fillDisk(world);
      process.end(exited(0));
      await world.clock.advance(10 * MIN);
      expect([storedJob(world, id).state.kind, leaseCount(world.runtime)]).toEqual(["running", 1]);
      free();
      const job = await world.reaches(id, "completed");
      expect(job).toMatchObject({ exitCode: 0, attempts: 1, metrics: { loss: { value: 1 } } });
      expect(job.notes.join()).toContain("oops");
      await world.clock.until("it is parked", () => world.job(id).sandbox.kind === "parked");
      expect([leaseCount(world.runtime), started.length]).toEqual([0, 1]);
    }),
  );

  test(
    "a job that fails does so once there is room, with its reason",
    inWorld(async (world) => {
      const started = followRuns(world);
      const [id = ""] = await world.start(run("train"));
      const { process } = await begun(world, started);
      const free = fillDisk(world);
      process.end(exited(3));
      await world.clock.advance(MIN);
      free();
      expect(await world.reaches(id, "failed")).toMatchObject({
        exitCode: 3,
        state: { failure: { code: "command_failed" } },
      });
    }),
  );

  test(
    "an agent that has finished answers what came meanwhile, and its job ends then",
    inWorld(async (world) => {
      const [id = ""] = await world.start("work 5000 1");
      await world.reaches(id, "running");
      await world.clock.advance(2_000);
      const free = fillDisk(world);
      await world.clock.advance(10_000);
      expect(world.job(id).state.kind).toBe("running");
      free();
      await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "say again", interrupt: false });
      await world.reaches(id, "completed");
      expect((await world.turns(id)).map(({ state }) => state)).toEqual(["done", "done"]);
      expect(world.job(id)).toMatchObject({ turns: 2, answers: [{ turn: 1, text: "1" }], state: { result: "again" } });
      expect(leaseCount(world.runtime)).toBe(0);
    }),
  );

  test(
    "a sandbox is parked with the one snapshot that was taken of it",
    inWorld(async (world) => {
      const started = followRuns(world);
      let free = () => {};
      world.machine.onSnapshot = () => {
        free = fillDisk(world);
      };
      const [id = ""] = await world.start(run("train"));
      (await begun(world, started)).process.end(exited(0));
      await world.reaches(id, "completed");
      await world.clock.advance(5 * MIN);
      expect(world.job(id).sandbox.kind).toBe("live");
      free();
      await world.clock.until("it is parked", () => world.job(id).sandbox.kind === "parked");
      expect(world.operations("snapshot")).toHaveLength(1);
      await world.clock.until("it is ended", () => world.machine.sandboxes().length === 0);
    }),
  );

  test.each([["room comes"], ["OpenCode starts again"]])("a measurement counts for its job once %s", (when) =>
    inWorld(async (world) => {
      const started = followRuns(world);
      const [id = ""] = await world.start(run("train"));
      (await begun(world, started)).process.end(exited(0));
      await world.clock.until("it is parked", () => world.job(id).sandbox.kind === "parked");
      const benchmark = benchmarkSchema.parse({
        command: "eval",
        metric: "loss",
        direction: "min",
        setting: "snapshot",
      });
      const origin = { sessionID: ORCHESTRATOR, messageID: "msg_score", callID: "call_score" };
      const context = { orchestrator: ORCHESTRATOR, origin, forbidden: [] };
      const [measuring] = await scoreJobs(world.runtime, { jobs: [id], benchmark, repeats: 1 }, context);
      const { process } = await begun(world, started, 2);
      const free = fillDisk(world, id);
      process.print("METRIC loss=0.5\n");
      process.end(exited(0));
      await world.reaches(measuring?.id ?? "", "completed");
      expect(world.job(id).metrics).toEqual({});
      if (when !== "room comes") {
        await world.close(world.runtime);
        free();
        await world.reopen();
      } else {
        free();
        await world.clock.advance(3_000);
      }
      expect(storedJob(world, id).metrics).toMatchObject({ loss: { value: 0.5, source: "snapshot" } });
    })(),
  );
});
