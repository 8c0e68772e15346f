import { expect, test } from "bun:test";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { snapshotJob } from "../../../../src/jobs/actions/snapshot-job.ts";
import { renderJobLine } from "../../../../src/prompt/job-list.ts";
import { viewJobs } from "../../../../src/tools/job-views.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";

/* Jobs whose sandbox cannot be frozen, or not all of it. */

const MIN = 60_000;

const cancelled = async (world: World, id: string) => {
  let done = false;
  void cancelJobs(world.runtime, ORCHESTRATOR, [id], null).finally(() => {
    done = true;
  });
  await world.clock.until("cancelled", () => done);
};
const line = (world: World, id: string) =>
  viewJobs(world.runtime, [world.job(id)])
    .map(renderJobLine)
    .join();

test(
  "what a snapshot could not keep is a note on the job, until a snapshot keeps it",
  inWorld(
    async (world) => {
      world.machine.leftOut = ["Not copied: /workspace/none/x (Permission denied)."];
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      const note =
        "The newest snapshot of its files is not complete: Not copied: /workspace/none/x (Permission denied).";
      await world.clock.until("a checkpoint", () => world.operations("snapshot").length === 1, 60 * MIN);
      expect(world.job(id).notes).toEqual([note]);
      await world.clock.until("another", () => world.operations("snapshot").length === 2, 60 * MIN);
      expect(world.job(id).notes).toEqual([note]);
      world.machine.leftOut = [];
      await cancelled(world, id);
      expect(world.job(id)).toMatchObject({ notes: [], sandbox: { kind: "parked" } });
    },
    { checkpointMinutes: 10, stallTimeoutMinutes: 500 },
  ),
);

test(
  "a cancelled job whose files cannot all be kept is parked and says what it lacks",
  inWorld(async (world) => {
    world.machine.leftOut = ["Not copied: /workspace/a (Input/output error)."];
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await cancelled(world, id);
    expect([world.job(id).sandbox.kind, world.machine.sandboxes().length]).toEqual(["parked", 0]);
    expect(line(world, id)).toContain("is not complete: Not copied: /workspace/a (Input/output error).");
  }),
);

test(
  "a running job hears that it could not be frozen, and no longer once it was",
  inWorld(
    async (world) => {
      world.machine.onSnapshot = () => Promise.reject(new Error("disk full"));
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      await world.clock.advance(11 * MIN);
      expect(world.job(id)).toMatchObject({ state: { kind: "running" }, sandbox: { kind: "live" } });
      expect(line(world, id)).toContain("Not done yet: its files could not be frozen as it runs: disk full");
      world.machine.onSnapshot = () => {};
      await world.clock.advance(10 * MIN);
      expect(world.job(id).notes).toEqual([]);
    },
    { checkpointMinutes: 10, stallTimeoutMinutes: 500 },
  ),
);

test(
  "a sandbox that cannot be frozen stays with a note while its changes are not kept elsewhere, however long that takes",
  inWorld(async (world) => {
    world.machine.onSnapshot = () => Promise.reject(new Error("disk full"));
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await cancelled(world, id);
    expect(line(world, id)).toContain("Not done yet: its sandbox could not be frozen, and is kept: disk full");
    await world.clock.advance(180 * MIN);
    expect(world.job(id)).toMatchObject({ state: { kind: "cancelled" }, sandbox: { kind: "live" } });
    expect(world.machine.sandboxes().length).toBe(1);
    // Whoever has made room need not wait.
    world.machine.onSnapshot = () => {};
    await cancelled(world, id);
    expect(world.job(id)).toMatchObject({ notes: [], sandbox: { kind: "parked" } });
    expect(world.machine.sandboxes()).toEqual([]);
  }),
);

test(
  "with its changes kept it is ended after an hour of tries, and the job says what is lost",
  inWorld(async (world) => {
    Object.assign(world.runtime.trees, { keep: async () => true });
    world.machine.onSnapshot = () => Promise.reject(new Error("disk full"));
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await cancelled(world, id);
    await world.clock.advance(50 * MIN);
    expect(world.job(id).sandbox.kind).toBe("live");
    await world.clock.advance(16 * MIN);
    expect(world.job(id)).toMatchObject({ state: { kind: "cancelled" }, sandbox: { kind: "gone" } });
    expect(world.machine.sandboxes()).toEqual([]);
    expect(line(world, id)).toContain("ended without a snapshot, since none could be taken for an hour (disk full)");
    expect(line(world, id)).not.toContain("Not done yet");
    await world.clock.advance(60 * MIN);
    expect(world.operations("terminate").length).toBe(1);
  }),
);

test(
  "a job that starts from a snapshot that is not complete knows it",
  inWorld(async (world) => {
    world.machine.leftOut = ["Not copied: /workspace/a (Input/output error)."];
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    const { snapshot } = await snapshotJob(world.runtime, ORCHESTRATOR, { job: id, label: "best", path: null });
    const [fork = "", other = ""] = await world.start({ description: "f", prompt: "hang", from: snapshot.id }, "hang");
    expect(world.job(fork).notes).toEqual([
      "The snapshot that it starts from is not complete: Not copied: /workspace/a (Input/output error).",
    ]);
    expect(world.job(other).notes).toEqual([]);
  }),
);
