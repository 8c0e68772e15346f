import { describe, expect, test } from "bun:test";
import type { Runtime } from "../../../../src/jobs/runtime.ts";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";
import { inWorld, leaseCount, startIn, type World } from "../runtime-world.ts";

/* Running slots that several OpenCode processes share through one state directory. */

const statesIn = async (runtime: Runtime, orchestrator: string) =>
  (await runtime.sessionJobs(orchestrator)).all().map(({ state }) => state.kind);

test(
  "two processes share the running slots, and the second one takes each slot that the first one frees",
  inWorld(
    async (world) => {
      const other = await world.open();
      await startIn(world.runtime, "ses_a", "work 20000 1", "work 20000 2");
      await world.clock.advance(10);
      await startIn(other, "ses_b", "work 1000 3", "say 4");
      await world.clock.advance(5_000);
      expect(await statesIn(world.runtime, "ses_a")).toEqual(["running", "running"]);
      expect(await statesIn(other, "ses_b")).toEqual(["queued", "queued"]);
      expect(other.scheduler.counts()).toMatchObject({ running: 2, queued: 2 });
      await world.clock.advance(20_000);
      expect(await statesIn(other, "ses_b")).toEqual(["completed", "completed"]);
      expect(leaseCount(other)).toBe(0);
    },
    { maxRunningJobs: 2 },
  ),
);

test(
  "a job keeps its lease for as long as it runs",
  inWorld(
    async (world) => {
      const other = await world.open();
      await startIn(world.runtime, "ses_a", "work 600000 1");
      await world.clock.advance(10);
      await startIn(other, "ses_b", "say 2");
      await world.clock.advance(590_000);
      expect(await statesIn(other, "ses_b")).toEqual(["queued"]);
      await world.clock.advance(20_000);
      expect(await statesIn(other, "ses_b")).toEqual(["completed"]);
    },
    { maxRunningJobs: 1 },
  ),
);

/** The pid of a process that is alive and is not ours. */
const SILENT = "1:silent";
/** No process has this pid: Linux allows pids up to 2^22. */
const DEAD = "4999999:dead";

describe("a slot whose owner", () => {
  const takeSlot = async (world: World, owner: string) => {
    const pool = await openPoolStore(world.stateDir);
    const lease = { id: "lease_dead", jobID: "job_dead", orchestrator: "ses_dead", owner };
    expect(pool.acquireLease(lease, () => ({ slots: 1, gpu: null }), world.clock.now())).not.toBeNull();
    pool.close();
  };

  test(
    "is dead is taken at once",
    inWorld(
      async (world) => {
        await takeSlot(world, DEAD);
        const [id = ""] = await world.start("say 1");
        await world.reaches(id, "completed");
        expect(world.clock.now() - world.job(id).createdAt).toBeLessThan(1_000);
      },
      { maxRunningJobs: 1 },
    ),
  );

  test(
    "has stopped renewing it is taken after half a minute, and not before",
    inWorld(
      async (world) => {
        await takeSlot(world, SILENT);
        const [id = ""] = await world.start("say 1");
        await world.clock.advance(29_000);
        expect(world.job(id).state.kind).toBe("queued");
        await world.clock.advance(5_000);
        expect(world.job(id).state.kind).toBe("completed");
      },
      { maxRunningJobs: 1 },
    ),
  );
});
