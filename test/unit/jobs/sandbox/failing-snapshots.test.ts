import { expect, test } from "bun:test";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { snapshotJob } from "../../../../src/jobs/actions/snapshot-job.ts";
import { renderJobLine } from "../../../../src/prompt/job-list.ts";
import { viewJobs } from "../../../../src/tools/job-views.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";

/* Jobs whose snapshots fail or are incomplete. */

const MIN = 60_000;

const cancel = async (world: World, id: string) => {
  let hasReturned = false;
  void cancelJobs(world.runtime, ORCHESTRATOR, [id], null).finally(() => {
    hasReturned = true;
  });
  await world.clock.until("the call returns", () => hasReturned);
};
/** The job's line in a tool's answer. */
const line = (world: World, id: string) =>
  viewJobs(world.runtime, [world.job(id)])
    .map((job) => renderJobLine(job))
    .join();

test(
  "files that a snapshot could not hold are a note on the job until a snapshot holds them",
  inWorld(
    async (world) => {
      world.machine.leftOut = ["Not copied: /workspace/none/x (Permission denied)."];
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      const note =
        "The newest snapshot of its files is not complete: Not copied: /workspace/none/x (Permission denied).";
      await world.clock.until("a checkpoint", () => world.operations("snapshot").length === 1, 60 * MIN);
      expect(world.job(id).notes).toEqual([note]);
      await world.clock.until("another checkpoint", () => world.operations("snapshot").length === 2, 60 * MIN);
      expect(world.job(id).notes).toEqual([note]);
      world.machine.leftOut = [];
      await cancel(world, id);
      expect(world.job(id)).toMatchObject({ notes: [], sandbox: { kind: "parked" } });
    },
    { checkpointMinutes: 10, stallTimeoutMinutes: 500 },
  ),
);

test(
  "a cancelled job whose snapshot is incomplete is parked, and its line names what is missing",
  inWorld(async (world) => {
    world.machine.leftOut = ["Not copied: /workspace/a (Input/output error)."];
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await cancel(world, id);
    expect([world.job(id).sandbox.kind, world.machine.sandboxes().length]).toEqual(["parked", 0]);
    expect(line(world, id)).toContain("is not complete: Not copied: /workspace/a (Input/output error).");
  }),
);

test(
  "a running job whose checkpoint failed has a note until a checkpoint succeeds",
  inWorld(
    async (world) => {
      world.machine.onSnapshot = () => Promise.reject(new Error("disk full"));
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      await world.clock.advance(11 * MIN);
      expect(world.job(id)).toMatchObject({ state: { kind: "running" }, sandbox: { kind: "live" } });
      expect(line(world, id)).toContain("Not done yet: its files could not be frozen while it runs: disk full");
      world.machine.onSnapshot = () => {};
      await world.clock.advance(10 * MIN);
      expect(world.job(id).notes).toEqual([]);
    },
    { checkpointMinutes: 10, stallTimeoutMinutes: 500 },
  ),
);

test(
  "a sandbox that cannot be snapshotted is kept, with a note, while its changes are saved nowhere else",
  inWorld(async (world) => {
    world.machine.onSnapshot = () => Promise.reject(new Error("disk full"));
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await cancel(world, id);
    expect(line(world, id)).toContain("Not done yet: its sandbox could not be frozen, and is kept: disk full");
    await world.clock.advance(180 * MIN);
    expect(world.job(id)).toMatchObject({ state: { kind: "cancelled" }, sandbox: { kind: "live" } });
    expect(world.machine.sandboxes().length).toBe(1);
    // Cancelling again tries at once, for a user who has freed disk space.
    world.machine.onSnapshot = () => {};
    await cancel(world, id);
    expect(world.job(id)).toMatchObject({ notes: [], sandbox: { kind: "parked" } });
    expect(world.machine.sandboxes()).toEqual([]);
  }),
);

test(
  "a sandbox that cannot be snapshotted for an hour is terminated if its changes are saved, and the job names the loss",
  inWorld(async (world) => {
    Object.assign(world.runtime.trees, { saveChanges: async () => true });
    world.machine.onSnapshot = () => Promise.reject(new Error("disk full"));
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await cancel(world, id);
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
  "a job that starts from an incomplete snapshot has a note that says so",
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
