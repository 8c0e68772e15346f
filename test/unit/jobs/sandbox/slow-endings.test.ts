import { expect, test } from "bun:test";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { inWorld, ORCHESTRATOR } from "../runtime-world.ts";

/* A provider may take long to end a sandbox. Nobody waits for that, and until then the sandbox is counted. */

test(
  "a parked job goes on at once, under another name, while its former sandbox is still ending",
  inWorld(async (world) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    const first = world.machine.sandboxes().map((one) => one.id);
    world.machine.untilEnd = promise;
    await world.clock.advance(61_000);
    expect(world.job(id).sandbox.kind).toBe("parked");
    expect(world.runtime.lifecycle.isUnterminated(id)).toBe(true);
    expect(world.runtime.pool.sandboxes().map((one) => one.id)).toEqual(first);
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "say again", interrupt: false });
    await world.reaches(id, "completed");
    const names = world.operations("create").map((line) => line.split(" ")[1]);
    expect(new Set(names).size).toBe(2);
    expect(names.every((name) => name?.startsWith(id))).toBe(true);
    resolve();
    await world.clock.advance(1_000);
    const second = world.machine.sandboxes().map((one) => one.id);
    expect(second.length).toBe(1);
    expect(world.runtime.pool.sandboxes().map((one) => one.id)).toEqual(second);
    expect(world.runtime.lifecycle.isUnterminated(id)).toBe(true); // its second one lives
  }),
);

test(
  "what a sandbox costs while it ends is its job's cost, and the cost of the next one begins anew",
  inWorld(
    async (world) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const [id = ""] = await world.start("say 1");
      await world.reaches(id, "completed");
      world.machine.untilEnd = promise;
      await world.clock.advance(61_000);
      const { usd, since, usdPerHour } = world.job(id).compute;
      expect(usdPerHour).toBeGreaterThan(1);
      expect(since).toBeNull();
      await world.clock.advance(3_600_000);
      resolve();
      await world.clock.advance(1);
      expect(world.job(id).compute.usd - usd).toBeCloseTo(usdPerHour, 1);
      expect(world.runtime.lifecycle.isUnterminated(id)).toBe(false);
      expect(world.runtime.pool.sandboxes()).toEqual([]);
    },
    { prices: { cpuCore: 36 } },
  ),
);

test(
  "a sandbox's meter is read beside its snapshot, and a job that is parked has its sandbox asked to end already",
  inWorld(
    async (world) => {
      const asked: string[] = [];
      const meter = Promise.withResolvers<void>();
      world.machine.onMeter = async () => {
        asked.push("meter");
        await meter.promise;
        return { cpuCoreSeconds: 1, memoryGiBSeconds: 0, gpuSeconds: 0 };
      };
      world.machine.onSnapshot = () => void asked.push("snapshot");
      const [id = ""] = await world.start("say 1");
      await world.reaches(id, "completed");
      world.machine.onCall = (call) => void (call === "terminate" && asked.push(`end, ${world.job(id).sandbox.kind}`));
      await world.clock.advance(61_000);
      expect([world.job(id).sandbox.kind, asked]).toEqual(["live", ["meter", "snapshot"]]);
      meter.resolve();
      await world.clock.advance(1);
      expect(asked).toEqual(["meter", "snapshot", "end, parked"]);
      expect(world.job(id).compute.usd).toBeCloseTo(0.6, 1); // at its request, and not at its limit
    },
    { prices: { cpuCore: 36 } },
  ),
);

test(
  "a sandbox that cannot be ended is metered again before it is asked once more",
  inWorld(
    async (world) => {
      let readings = 0;
      world.machine.onMeter = () => {
        readings += 1;
        return { cpuCoreSeconds: 1, memoryGiBSeconds: 0, gpuSeconds: 0 };
      };
      const [id = ""] = await world.start("say 1");
      await world.reaches(id, "completed");
      let broken = true;
      world.machine.onCall = (call) => {
        if (broken && call === "terminate") throw new Error("unreachable");
      };
      await world.clock.advance(61_000);
      expect([world.job(id).sandbox.kind, readings, world.machine.sandboxes().length]).toEqual(["parked", 1, 1]);
      broken = false;
      await world.clock.advance(60_000);
      expect([readings, world.machine.sandboxes().length]).toEqual([2, 0]);
      expect(world.job(id).compute.usd).toBeCloseTo(1.2, 1);
    },
    { prices: { cpuCore: 36 } },
  ),
);
