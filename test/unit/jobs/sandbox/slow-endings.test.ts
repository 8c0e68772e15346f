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
