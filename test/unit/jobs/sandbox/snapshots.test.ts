import { expect, test } from "bun:test";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { snapshotJob } from "../../../../src/jobs/actions/snapshot-job.ts";
import { PluginError } from "../../../../src/shared/error-code.ts";
import { bytes, inWorld, ORCHESTRATOR, text, type World } from "../runtime-world.ts";

const freeze = async (
  { runtime }: Pick<World, "runtime">,
  job: string,
  label: string | null = null,
  path: string | null = null,
) => (await snapshotJob(runtime, ORCHESTRATOR, { job, label, path })).snapshot;
const refusal = (world: World, job: string, path: string | null = null) =>
  freeze(world, job, null, path).then(
    () => null,
    (error) => ({ code: error.code, retryable: error.retryable, message: error.message }),
  );
const write = (world: World, id: string, path: string, content: string) =>
  world.runtime.lifecycle.live(id)?.writeFile(path, bytes(content));
const read = async (world: World, id: string, path: string) =>
  text(await world.runtime.lifecycle.live(id)?.readFile(path, { offset: 0, maxBytes: 99 }));
const fork = (from: string, prompt = "work 500 fork") => ({ description: "fork", prompt, from });
/** Until the job has been parked; the id of what it was parked with. */
const parked = (world: World, id: string) =>
  world.clock.until(`${id} is parked`, () => {
    const { sandbox } = world.job(id);
    return sandbox.kind === "parked" && sandbox.snapshotID;
  });

test(
  "a snapshot of a running job is where new jobs start, by id and by label, newest label first",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await write(world, id, "a/note", "first");
    const first = await freeze(world, id, "best");
    await write(world, id, "a/note", "second");
    const second = await freeze(world, id, "best");
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
    expect((await freeze(world, forks[1] ?? "")).parent).toBe(second.id);
    expect(world.runtime.snapshots.list(ORCHESTRATOR).length).toBe(3);
    expect(world.job(id).state.kind).toBe("running");
  }),
);

/** Jobs that hold a file with their number. */
async function holders(world: World, count: number): Promise<string[]> {
  const ids = await world.start(...Array.from({ length: count }, () => "hang"));
  for (const id of ids) await world.reaches(id, "running");
  for (const [index, id] of ids.entries()) await write(world, id, "n", `${index}`);
  return ids;
}

const labelsOf = ({ runtime }: World) => runtime.snapshots.list(ORCHESTRATOR).map(({ label, jobID }) => [label, jobID]);

test(
  "a label stays the job's that gave it first: another's files are frozen without it, and who asked is told",
  inWorld(async (world) => {
    const [first = "", second = ""] = await holders(world, 2);
    await freeze(world, first, "best");
    for (const label of ["best", "BEST", "Best"]) {
      const { snapshot, labelOwner } = await snapshotJob(world.runtime, ORCHESTRATOR, {
        job: second,
        label,
        path: null,
      });
      expect({ label: snapshot.label, labelOwner }).toEqual({ label: null, labelOwner: first });
    }
    expect(labelsOf(world)).toEqual([["best", first], ...[1, 2, 3].map(() => [null, second])]);
    const forks = await world.start(fork("best", "hang"), fork("bEsT", "hang"));
    for (const id of forks) {
      await world.reaches(id, "running");
      expect(await read(world, id, "n")).toBe("0");
    }
    // Its own job moves it on; a parked one keeps it too.
    await write(world, first, "n", "newer");
    await freeze(world, first, "Best");
    expect(labelsOf(world).filter(([label]) => label !== null)).toEqual([["Best", first]]);
    expect(world.runtime.snapshots.find(ORCHESTRATOR, "best")?.sizeBytes).toBe("newer".length);
  }),
);

test(
  "of two processes that give one label at once one has it, over all their jobs",
  inWorld(async (world) => {
    const ids = await holders(world, 4);
    const other = await world.open();
    const records = await Promise.all(ids.map((id) => freeze(world, id)));
    const owners = records.map((record, index) => {
      const { pool } = index % 2 === 0 ? world.runtime : other;
      return pool.giveLabel(ORCHESTRATOR, { label: "best", jobID: record.jobID, snapshotID: record.id }).owner;
    });
    expect(owners).toEqual(ids.map(() => ids[0] as string));
    expect(other.pool.giveLabel("ses_other", { label: "best", jobID: "job_x", snapshotID: "snap_x" }).owner).toBe(
      "job_x",
    );
  }),
);

test(
  "a label whose snapshot is gone says so, and stays its job's until the session is deleted",
  inWorld(async (world) => {
    const [first = "", second = ""] = await holders(world, 2);
    const frozen = await freeze(world, first, "best");
    world.runtime.pool.deleteSnapshot(frozen.id);
    const [refused = ""] = await world.start(fork("best"));
    expect(world.job(refused).state).toMatchObject({
      failure: {
        code: "invalid_task",
        message: `from "best" is the label of ${frozen.id} of ${first}, which has expired or was removed. Wake ${first} with agents_message and take another snapshot, or start from a different one.`,
      },
    });
    expect(await snapshotJob(world.runtime, ORCHESTRATOR, { job: second, label: "best", path: null })).toMatchObject({
      labelOwner: first,
    });
    expect((await freeze(world, first, "best")).label).toBe("best");
    await world.runtime.snapshots.removeAll(ORCHESTRATOR);
    expect(world.runtime.pool.labelled(ORCHESTRATOR, "best")).toBeNull();
  }),
);

test(
  "a directory alone can be frozen, its path taken from the working directory",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await write(world, id, "a/note", "in");
    await write(world, id, "b", "out");
    expect(await freeze(world, id, null, "a")).toMatchObject({ kind: "directory", sizeBytes: 2 });
    expect(await freeze(world, id, null, "/workspace/a")).toMatchObject({ sizeBytes: 2 });
  }),
);

test(
  "the snapshot of a parked job is the one it was parked with, from then on listed and kept",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    const snapshotID = await parked(world, id);
    expect(world.runtime.snapshots.list(ORCHESTRATOR)).toEqual([]);
    expect(await freeze(world, id, "done")).toMatchObject({ id: snapshotID, label: "done", parked: false });
    expect((await freeze(world, id)).label).toBe("done"); // asking again takes no name away
    await freeze(world, id, "also");
    for (const name of ["done", "also", "ALSO", snapshotID])
      expect(world.runtime.snapshots.find(ORCHESTRATOR, name)?.id).toBe(snapshotID);
    expect(world.runtime.snapshots.list(ORCHESTRATOR).map((one) => one.id)).toEqual([snapshotID]);
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "say 2", interrupt: false });
    await world.reaches(id, "completed");
    expect(await parked(world, id)).not.toBe(snapshotID);
    expect(world.machine.snapshotIDs()).toContain(snapshotID);
  }),
);

test(
  "what a job was parked with before is dropped, unless another job starts from it",
  inWorld(async (world) => {
    const [id = "", other = ""] = await world.start("say 1", "say 1");
    const again = async (job: string) => {
      await messageJob(world.runtime, ORCHESTRATOR, { job, message: "say again", interrupt: false });
      await world.reaches(job, "completed");
      await world.clock.advance(61_000);
    };
    const dropped = await parked(world, id);
    const wanted = await parked(world, other);
    await world.start(fork(wanted, "hang"));
    await again(id);
    await again(other);
    expect(world.machine.snapshotIDs()).not.toContain(dropped);
    expect(world.machine.snapshotIDs()).toContain(wanted);
    expect(world.operations("remove")).toEqual([`remove ${dropped}`]);
    expect(await parked(world, id)).not.toBe(dropped);
  }),
);

test(
  "what has nothing to freeze says so, and whether it is worth another try",
  inWorld(
    async (world) => {
      const [id = "", queued = ""] = await world.start("hang", "say 1");
      await world.reaches(id, "running");
      expect(await refusal(world, queued)).toMatchObject({ code: "snapshot_failed", retryable: true });
      expect(await refusal(world, "job_99")).toMatchObject({ code: "not_found" });
      const { sandbox } = world.job(id);
      world.machine.lose(sandbox.kind === "live" ? sandbox.id : "");
      await world.reaches(id, "failed");
      expect(await refusal(world, id)).toMatchObject({ code: "snapshot_failed", retryable: false });
      await parked(world, queued);
      expect(await refusal(world, queued, "a")).toMatchObject({ message: expect.stringContaining("leave path out") });
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "a job whose sandbox was lost starts again from its newest snapshot",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    const { sandbox } = await world.reaches(id, "running");
    await write(world, id, "note", "kept");
    await freeze(world, id);
    world.machine.lose(sandbox.kind === "live" ? sandbox.id : "");
    await world.reaches(id, "failed");
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "work 500 again", interrupt: false });
    await world.reaches(id, "running");
    expect(await read(world, id, "note")).toBe("kept");
  }),
);

test(
  "a sandbox that cannot be frozen is not given up, the work is worth more than the room; a minute later it is tried again",
  inWorld(async (world) => {
    let broken = true;
    world.machine.onSnapshot = () => {
      if (broken) throw new PluginError("snapshot_failed", "disk full");
    };
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.clock.advance(61_000);
    expect([world.job(id).sandbox.kind, world.machine.sandboxes().length]).toEqual(["live", 1]);
    expect(world.loggedProblems).toEqual(["error: could not park a sandbox PluginError: disk full"]);
    broken = false;
    await world.clock.advance(60_000);
    expect([world.job(id).sandbox.kind, world.machine.sandboxes().length]).toEqual(["parked", 0]);
  }),
);

test(
  "a queued job makes sandboxes that only linger give way at once",
  inWorld(
    async (world) => {
      const [first = ""] = await world.start("say 1");
      await world.reaches(first, "completed");
      expect(world.job(first).sandbox.kind).toBe("live");
      const [second = "", third = ""] = await world.start("work 9000 2", "say 3");
      await world.reaches(second, "running");
      expect([world.job(first).sandbox.kind, world.job(third).state.kind]).toEqual(["parked", "queued"]);
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "a job is charged with the snapshots that were asked for, with their bytes and files, and with nobody else's",
  inWorld(async (world) => {
    const [id = "", other = ""] = await world.start("hang", "hang");
    await Promise.all([world.reaches(id, "running"), world.reaches(other, "running")]);
    await write(world, id, "note", "12345");
    await write(world, other, "note", "1234567");
    await freeze(world, id);
    await freeze(world, other);
    await freeze(world, id);
    await freeze(world, id);
    expect(world.machine.charges).toEqual([
      { count: 0, bytes: 0, files: 0 },
      { count: 0, bytes: 0, files: 0 },
      { count: 1, bytes: 5, files: 1 },
      { count: 2, bytes: 10, files: 2 },
    ]);
    // What is taken to keep its work is not charged, nor refused for what it asked for.
    let parked = false;
    void world.runtime.lifecycle
      .checkpoint(await world.runtime.sessionJobs(ORCHESTRATOR), id)
      .then(() => (parked = true));
    await world.clock.until("it is parked", () => parked);
    expect(world.machine.charges.slice(4)).toEqual([null]);
    expect((await freeze(world, id)).id).not.toBe("");
    expect(world.machine.charges.at(-1)).toEqual({ count: 3, bytes: 15, files: 3 });
  }),
);

test(
  "a job that freezes itself in a loop is refused at its two hundred and first snapshot, and others are not",
  inWorld(async (world) => {
    const [id = "", other = ""] = await world.start("hang", "hang");
    await Promise.all([world.reaches(id, "running"), world.reaches(other, "running")]);
    for (let count = 0; count < 200; count++) await freeze(world, id);
    expect(await refusal(world, id)).toMatchObject({
      code: "snapshot_failed",
      retryable: false,
      message: expect.stringContaining("has 200 snapshots, as many as a job may have"),
    });
    expect(await refusal(world, other)).toBeNull();
  }),
);
