import { expect, test } from "bun:test";
import type { Options } from "../../../../src/config/schema.ts";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
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
