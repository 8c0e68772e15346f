import { describe, expect, test } from "bun:test";
import { benchmarkSchema } from "../../../../src/config/benchmark.ts";
import { environmentSchema } from "../../../../src/config/environment.ts";
import { scoreJobs } from "../../../../src/jobs/actions/score-jobs.ts";
import { readNote, sandboxIDOf } from "../execution/lost-sandbox-support.ts";
import { begun, exited, followRuns, killAndReopen, run } from "../execution/runs-support.ts";
import { bytes, inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";

const benchmark = benchmarkSchema.parse({ command: "eval", metric: "loss", direction: "min", setting: "snapshot" });

async function score(world: World, jobs: readonly string[], repeats = 1, more: object = {}): Promise<string[]> {
  const origin = { sessionID: ORCHESTRATOR, messageID: "msg_score", callID: "call_score" };
  const context = { orchestrator: ORCHESTRATOR, origin, forbidden: [] };
  return (await scoreJobs(world.runtime, { jobs, benchmark: { ...benchmark, ...more }, repeats }, context)).map(
    ({ id }) => id,
  );
}

/** A run that has ended and left a file. */
async function ended(world: World, started: ReturnType<typeof followRuns>, more: object = {}): Promise<string> {
  const [id = ""] = await world.start(run("train", more));
  const { process } = await begun(world, started, started.length + 1);
  await world.runtime.lifecycle.live(id)?.writeFile("note", bytes("made by the job"));
  process.end(exited(0));
  await world.reaches(id, "completed");
  await world.clock.until("it is parked", () => world.job(id).sandbox.kind === "parked");
  return id;
}

/** What a measurement finds, which then changes it, as code of the job may. */
async function touch(world: World, id: string): Promise<string> {
  const found = await readNote(world, id);
  await world.runtime.lifecycle.live(id)?.writeFile("note", bytes("changed by the measurement"));
  return found;
}

describe("a measurement", () => {
  test(
    "of a job of another session is refused with the way to measure it",
    inWorld(async (world) => {
      await expect(score(world, ["job_elsewhere"])).rejects.toMatchObject({
        code: "not_found",
        missing: ["job_elsewhere"],
        message: expect.stringMatching(/^This session has no job job_elsewhere\..* "from" that job's snapshot/),
      });
    }),
  );

  test(
    "names the volumes that its job could write to",
    inWorld(
      async (world) => {
        const started = followRuns(world);
        const id = await ended(world, started);
        const [measuring = ""] = await score(world, [id]);
        expect(world.job(measuring).notes).toContainEqual(expect.stringContaining("the volume tests at /data"));
      },
      { environments: { default: environmentSchema.parse({ volumes: { "/data": "tests" } }) } },
    ),
  );

  test(
    "has the variables of its run and a seed of its own, and its repeats are the job's number together",
    inWorld(async (world) => {
      const started = followRuns(world);
      const id = await ended(world, started, { matrix: { LR: [0.02], SEED: [7] } });
      const [first = "", second = ""] = await score(world, [id], 2);
      const processes = [await begun(world, started, 2), await begun(world, started, 3)];
      expect(processes.map(({ env }) => [env.LR, env.SEED])).toEqual([
        ["0.02", "1"],
        ["0.02", "2"],
      ]);
      for (const [n, { process }] of processes.entries()) {
        process.print(`METRIC loss=${n + 1}\n`);
        process.end(exited(0));
      }
      for (const one of [first, second]) await world.reaches(one, "completed");
      expect(world.job(first).task.run?.params).toEqual({ LR: 0.02, SEED: 1 });
      expect(world.job(id).metrics).toMatchObject({ loss: { value: 1.5, source: "snapshot" } });
    }),
  );

  test(
    "leaves out another metric that was printed with two values, and says so",
    inWorld(async (world) => {
      const started = followRuns(world);
      const id = await ended(world, started);
      const [measuring = ""] = await score(world, [id], 1, { metrics: { speed: "speed:", size: "size:" } });
      const { process } = await begun(world, started, 2);
      process.print("speed: 90\nsize: 3\nMETRIC loss=1\nspeed: 80\n");
      process.end(exited(0));
      const { metrics, notes } = await world.reaches(measuring, "completed");
      expect(metrics).toMatchObject({ loss: { value: 1, source: "snapshot" }, size: { value: 3, source: "snapshot" } });
      expect(Object.keys(metrics)).toEqual(["size", "loss"]);
      expect(notes.join()).toContain("more than one value: speed");
    }),
  );

  test(
    "whose sandbox is lost is made again with untouched files, never with what it had become, and counts once",
    inWorld(async (world) => {
      world.machine.keepsLast = true;
      const started = followRuns(world);
      const id = await ended(world, started);
      const [measuring = ""] = await score(world, [id]);
      for (const time of [1, 2]) {
        const { process } = await begun(world, started, 1 + time);
        expect(await touch(world, measuring)).toBe("made by the job");
        process.print(`METRIC loss=${time}\n`);
        if (time === 2) process.end(exited(0));
        else {
          process.break("the sandbox ended");
          world.machine.lose(sandboxIDOf(world, measuring));
        }
      }
      expect(await world.reaches(measuring, "completed")).toMatchObject({
        attempts: 2,
        metrics: { loss: { value: 2, source: "snapshot" } },
      });
      expect(world.job(id).metrics).toMatchObject({ loss: { value: 2 } });
    }),
  );

  test(
    "fails in words when its sandbox is lost twice, and the job has no number of it",
    inWorld(async (world) => {
      const started = followRuns(world);
      const id = await ended(world, started);
      const [measuring = ""] = await score(world, [id]);
      for (const time of [1, 2]) {
        const { process } = await begun(world, started, 1 + time);
        process.print("METRIC loss=1\n");
        process.break("the sandbox ended");
        world.machine.lose(sandboxIDOf(world, measuring));
      }
      const { state, metrics } = await world.reaches(measuring, "failed");
      expect(state).toMatchObject({ failure: { code: "sandbox_lost", message: expect.stringContaining("only once") } });
      expect(Object.values(metrics).filter(({ source }) => source !== "output")).toEqual([]);
      expect(world.job(id).metrics).toEqual({});
    }),
  );

  test(
    "begins again once in a fresh sandbox when its OpenCode is killed, and as often as OpenCode reloads",
    inWorld(async (world) => {
      const started = followRuns(world);
      const id = await ended(world, started);
      const [measuring = ""] = await score(world, [id]);
      const sandboxes = new Set<string>();
      for (const [n, end] of ["reload", "kill", "reload", "reload", "kill"].entries()) {
        const { process } = await begun(world, started, n + 2);
        expect(await touch(world, measuring)).toBe("made by the job");
        sandboxes.add(sandboxIDOf(world, measuring));
        process.print("METRIC loss=1\n");
        process.end({ kind: "unknown", reason: "x" });
        await (end === "kill" ? killAndReopen(world) : world.reopen());
      }
      const { state, notes, attempts } = await world.reaches(measuring, "failed");
      expect(state).toMatchObject({ failure: { code: "restart_unrecoverable" } });
      expect(attempts).toBe(2);
      expect(notes.join()).toContain("in a fresh sandbox");
      expect(sandboxes.size).toBe(5);
      expect(world.machine.sandboxes().filter(({ id: one }) => sandboxes.has(one))).toEqual([]);
      expect(world.job(id).metrics).toEqual({});
    }),
  );
});
