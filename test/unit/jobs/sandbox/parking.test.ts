import { expect, test } from "bun:test";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { PluginError } from "../../../../src/shared/error-code.ts";
import { inWorld, ORCHESTRATOR } from "../runtime-world.ts";
import { fork, untilParked } from "./snapshots-support.ts";

test(
  "the snapshot of an earlier parking is removed, unless another job starts from it",
  inWorld(async (world) => {
    const [id = "", other = ""] = await world.start("say 1", "say 1");
    const wakeAndPark = async (job: string) => {
      await messageJob(world.runtime, ORCHESTRATOR, { job, message: "say again", interrupt: false });
      await world.reaches(job, "completed");
      await world.clock.advance(61_000);
    };
    const unused = await untilParked(world, id);
    const used = await untilParked(world, other);
    await world.start(fork(used, "hang"));
    await wakeAndPark(id);
    await wakeAndPark(other);
    expect(world.machine.snapshotIDs()).not.toContain(unused);
    expect(world.machine.snapshotIDs()).toContain(used);
    expect(world.operations("remove")).toEqual([`remove ${unused}`]);
    expect(await untilParked(world, id)).not.toBe(unused);
  }),
);

test(
  "a sandbox that cannot be snapshotted is kept, and parked a minute later when that works again",
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
  "a queued job has an ended job parked at once, before its time",
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
  "where a sandbox can become a snapshot itself, no copy is taken, and its job is woken from it",
  inWorld(async (world) => {
    world.machine.retires = true;
    const [id = ""] = await world.start("say kept");
    const snapshot = await untilParked(world, id);
    expect(world.operations("snapshot")).toEqual([]);
    expect(world.operations("retire")).toEqual([`retire sbx_1 as ${snapshot}`]);
    expect([world.machine.sandboxes(), world.runtime.pool.sandboxes()]).toEqual([[], []]);
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "say again", interrupt: false });
    await world.reaches(id, "completed");
    expect(world.machine.sandboxes()[0]?.spec.snapshotID).toBe(snapshot);
  }),
);

test(
  "a sandbox that ended and whose files could not be kept yet is found again a minute later, and parked",
  inWorld(async (world) => {
    world.machine.retires = true;
    let broken = true;
    world.machine.onSnapshot = () => {
      if (broken) throw new PluginError("snapshot_failed", "disk full");
    };
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.clock.advance(61_000);
    expect([world.job(id).sandbox.kind, world.machine.snapshotIDs()]).toEqual(["live", []]);
    broken = false;
    await world.clock.advance(60_000);
    expect(world.operations("attach")).toEqual(["attach sbx_1"]);
    expect([world.job(id).sandbox.kind, world.machine.sandboxes().length, world.job(id).notes]).toEqual([
      "parked",
      0,
      [],
    ]);
  }),
);
