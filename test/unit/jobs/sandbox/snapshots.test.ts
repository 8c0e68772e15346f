import { expect, test } from "bun:test";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";
import { fork, read, takeSnapshot, untilParked, write } from "./snapshots-support.ts";

/** The failure of a snapshot; null when it was taken. */
const failureOf = (world: World, job: string, path: string | null = null) =>
  takeSnapshot(world, job, null, path).then(
    () => null,
    (error) => ({ code: error.code, retryable: error.retryable, message: error.message }),
  );

test(
  "new jobs start from a snapshot of a running job by its id, or by a label, which names the newest one",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await write(world, id, "a/note", "first");
    const first = await takeSnapshot(world, id, "best");
    await write(world, id, "a/note", "second");
    const second = await takeSnapshot(world, id, "best");
    expect(second).toMatchObject({
      label: "best",
      jobID: id,
      kind: "filesystem",
      parent: null,
      sizeBytes: 6,
      parked: false,
    });
    const forks = await world.start(fork(first.id), fork("best"));
    const notes = [];
    for (const one of forks) {
      await world.reaches(one, "running");
      notes.push(await read(world, one, "a/note"));
    }
    expect(notes).toEqual(["first", "second"]);
    expect((await takeSnapshot(world, forks[1] ?? "")).parent).toBe(second.id);
    expect(world.runtime.snapshots.list(ORCHESTRATOR).newest.length).toBe(3);
    expect(world.job(id).state.kind).toBe("running");
  }),
);

test(
  "a snapshot can hold a single directory, whose path may be relative to the working directory",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await write(world, id, "a/note", "in");
    await write(world, id, "b", "out");
    expect(await takeSnapshot(world, id, null, "a")).toMatchObject({ kind: "directory", sizeBytes: 2 });
    expect(await takeSnapshot(world, id, null, "/workspace/a")).toMatchObject({ sizeBytes: 2 });
  }),
);

test(
  "asking for a snapshot of a parked job returns the one it was parked with, which is then listed and kept",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    const snapshotID = await untilParked(world, id);
    expect(world.runtime.snapshots.list(ORCHESTRATOR).newest).toEqual([]);
    expect(await takeSnapshot(world, id, "done")).toMatchObject({ id: snapshotID, label: "done", parked: false });
    expect((await takeSnapshot(world, id)).label).toBe("done"); // asking again without a label keeps the label
    await takeSnapshot(world, id, "also");
    for (const name of ["done", "also", "ALSO", snapshotID])
      expect(world.runtime.snapshots.find(ORCHESTRATOR, name)?.id).toBe(snapshotID);
    expect(world.runtime.snapshots.list(ORCHESTRATOR).newest.map((one) => one.id)).toEqual([snapshotID]);
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "say 2", interrupt: false });
    await world.reaches(id, "completed");
    expect(await untilParked(world, id)).not.toBe(snapshotID);
    expect(world.machine.snapshotIDs()).toContain(snapshotID);
  }),
);

test(
  "a snapshot of a job without a sandbox fails and says whether it may be tried again",
  inWorld(
    async (world) => {
      const [id = "", queued = ""] = await world.start("hang", "say 1");
      await world.reaches(id, "running");
      expect(await failureOf(world, queued)).toMatchObject({ code: "snapshot_failed", retryable: true });
      expect(await failureOf(world, "job_99")).toMatchObject({ code: "not_found" });
      const { sandbox } = world.job(id);
      world.machine.lose(sandbox.kind === "live" ? sandbox.id : "");
      await world.reaches(id, "failed");
      expect(await failureOf(world, id)).toMatchObject({ code: "snapshot_failed", retryable: false });
      await untilParked(world, queued);
      expect(await failureOf(world, queued, "a")).toMatchObject({ message: expect.stringContaining("leave path out") });
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "a message wakes a job whose sandbox was lost from its newest snapshot",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    const { sandbox } = await world.reaches(id, "running");
    await write(world, id, "note", "kept");
    await takeSnapshot(world, id);
    world.machine.lose(sandbox.kind === "live" ? sandbox.id : "");
    await world.clock.until("it has gone on once", () => world.operations("create").length === 2);
    await world.clock.advance(1_000);
    world.machine.lose(world.machine.sandboxes()[0]?.id ?? "");
    await world.reaches(id, "failed");
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "work 500 again", interrupt: false });
    await world.reaches(id, "running");
    expect(await read(world, id, "note")).toBe("kept");
  }),
);

test(
  "a job is charged with the count, bytes and files of the snapshots it asked for, and of no others",
  inWorld(async (world) => {
    const [id = "", other = ""] = await world.start("hang", "hang");
    await Promise.all([world.reaches(id, "running"), world.reaches(other, "running")]);
    await write(world, id, "note", "12345");
    await write(world, other, "note", "1234567");
    await takeSnapshot(world, id);
    await takeSnapshot(world, other);
    await takeSnapshot(world, id);
    await takeSnapshot(world, id);
    expect(world.machine.charges).toEqual([
      { count: 0, bytes: 0, files: 0 },
      { count: 0, bytes: 0, files: 0 },
      { count: 1, bytes: 5, files: 1 },
      { count: 2, bytes: 10, files: 2 },
    ]);
    // A checkpoint is not charged, and no charge can refuse it.
    let isDone = false;
    void world.runtime.lifecycle
      .checkpoint(await world.runtime.sessionJobs(ORCHESTRATOR), id)
      .then(() => (isDone = true));
    await world.clock.until("the checkpoint is done", () => isDone);
    expect(world.machine.charges.slice(4)).toEqual([null]);
    expect((await takeSnapshot(world, id)).id).not.toBe("");
    expect(world.machine.charges.at(-1)).toEqual({ count: 3, bytes: 15, files: 3 });
  }),
);

test(
  "a job is refused its 201st snapshot, and other jobs are not",
  inWorld(async (world) => {
    const [id = "", other = ""] = await world.start("hang", "hang");
    await Promise.all([world.reaches(id, "running"), world.reaches(other, "running")]);
    for (let count = 0; count < 200; count++) await takeSnapshot(world, id);
    expect(await failureOf(world, id)).toMatchObject({
      code: "snapshot_failed",
      retryable: false,
      message: expect.stringContaining("has reached the limit of 200 snapshots"),
    });
    expect(await failureOf(world, other)).toBeNull();
  }),
);
