import { expect, test } from "bun:test";
import type { Options } from "../../../../src/config/schema.ts";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { sleep } from "../../../../src/shared/clock.ts";
import type { FakeProcess } from "../../tools/fake-process.ts";
import { followRuns, startRuns } from "../nested-support.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";

/* Runs that the agent of a job has started, in the whole runtime: how they end with it, and what a restart does to them. */

const inNestedWorld = (
  body: (world: World, id: string, started: FakeProcess[]) => Promise<void>,
  options: Partial<Options> = {},
) =>
  inWorld(async (world) => {
    const started = followRuns(world);
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await body(world, id, started);
  }, options);

test(
  "runs share one freeze, and are cancelled with their job, whose record counts and names them",
  inNestedWorld(async (world, id, started) => {
    const runs = await startRuns(world, id, 3);
    await world.clock.until("all run", () => started.length === 3);
    expect(world.operations("snapshot")).toHaveLength(1);
    started[0]?.end({ kind: "exited", code: 0 });
    await world.reaches(runs[0] ?? "", "completed");
    void cancelJobs(world.runtime, ORCHESTRATOR, [id], "enough");
    for (const run of runs.slice(1))
      expect((await world.reaches(run, "cancelled")).state).toMatchObject({ reason: "its job has ended" });
    expect(world.job(id).notes.join()).toContain(
      "It started 3 runs itself: 1 completed, 2 cancelled because the job ended.",
    );
    expect(world.job(id).notes.join()).toContain(runs.slice(1).join(", "));
    await world.clock.advance(60_000);
    expect((await world.runtime.sessionJobs(ORCHESTRATOR)).notices().map(({ job }) => job.id)).not.toContain(runs[1]);
  }),
);

test(
  "after a restart the job goes on, and its open runs begin once more",
  inNestedWorld(async (world, id, started) => {
    const [run = ""] = await startRuns(world, id, 1);
    await world.clock.until("it runs", () => started.length === 1);
    await world.reopen();
    await world.clock.until("it runs again", () => started.length === 2);
    await world.reaches(id, "running");
    expect(world.job(run)).toMatchObject({ attempts: 1, startedBy: id, parent: id });
    started[1]?.end({ kind: "exited", code: 0 });
    await world.reaches(run, "completed");
    expect(world.job(id).state.kind).toBe("running");
  }),
);

test(
  "a loop of starts ends at the number of runs that a job may have open",
  inNestedWorld(
    async (world, id) => {
      await startRuns(world, id, 2);
      const [, third = ""] = await startRuns(world, id, 2);
      expect(world.job(third).state).toMatchObject({ kind: "failed", failure: { code: "invalid_task" } });
      expect(JSON.stringify(world.job(third).state)).toContain("at most 3 runs open");
    },
    { maxRunsPerCall: 3, maxRunningJobs: 1 },
  ),
);

test(
  "a job that was cancelled while its call to start runs was under way starts none, and is told so",
  inNestedWorld(async (world, id, started) => {
    const before = world.job(id);
    void cancelJobs(world.runtime, ORCHESTRATOR, [id], null);
    await world.reaches(id, "cancelled");
    await expect(startRuns(world, id, 2, before)).rejects.toMatchObject({
      code: "not_found",
      message: `${id} does not run any more, so nothing was started.`,
    });
    expect(started).toEqual([]);
    expect((await world.runtime.sessionJobs(ORCHESTRATOR)).all()).toHaveLength(1);
    await world.clock.advance(1_000);
  }),
);

const PARKING_MS = 4 * 60_000;
const AT_LIMIT = {
  "its cost": { max_usd: 1 },
  "its time": { timeout_minutes: 30 },
};

for (const [what, limit] of Object.entries(AT_LIMIT))
  test(
    `a job at the limit of ${what} ends its runs before its files are kept, which takes minutes, and starts no others`,
    inWorld(
      async (world) => {
        const started = followRuns(world);
        const [id = ""] = await world.start({ description: "tries", prompt: "work 6000000 never", ...limit });
        await world.reaches(id, "running");
        const runs = await startRuns(world, id, 3);
        const [done = "", ...open] = runs;
        await world.clock.until("all run", () => started.length === 3);
        started[0]?.print("accuracy is 0.93\n");
        started[0]?.end({ kind: "exited", code: 0 });
        await world.reaches(done, "completed");
        world.machine.onSnapshot = () => sleep(world.clock, PARKING_MS);
        await world.clock.until("it is stopped", () => world.job(id).stopFailure != null, 6_000_000);
        await world.clock.advance(10);
        for (const run of open)
          expect(world.job(run).state).toMatchObject({ kind: "cancelled", reason: "its job was stopped" });
        await expect(startRuns(world, id, 1)).rejects.toMatchObject({ code: "not_found" });
        expect(world.job(id).state.kind).toBe("running");
        await world.clock.advance(2 * PARKING_MS);
        const job = world.job(id);
        expect(job.state).toMatchObject({
          kind: "failed",
          failure: { code: "max_usd" in limit ? "budget_exceeded" : "timed_out" },
        });
        expect(job.notes).toEqual([
          "It started 3 runs itself: 1 completed, 2 cancelled because the job ended.",
          `These runs were open when it ended, and were cancelled: ${open.join(", ")}.`,
        ]);
        expect(world.job(done).state).toMatchObject({ result: expect.stringContaining("accuracy is 0.93") });
        expect([id, ...runs].map((one) => world.job(one).sandbox.kind)).toEqual(Array(4).fill("parked"));
      },
      {
        stallTimeoutMinutes: 6_000,
        checkpointMinutes: null,
        prices: { cpuCore: 1, memoryGiB: 0 },
      },
    ),
  );
