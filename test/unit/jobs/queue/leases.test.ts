import { describe, expect, test } from "bun:test";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { startJobs } from "../../../../src/jobs/actions/start-jobs.ts";
import type { Runtime } from "../../../../src/jobs/runtime.ts";
import { toOwner } from "../../../../src/jobs/store/lease-store.ts";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";
import { CATALOG, inWorld, leaseCount, type World } from "../runtime-world.ts";

const start = (runtime: Runtime, orchestrator: string, ...prompts: string[]) =>
  startJobs(
    runtime,
    prompts.map((prompt) => ({ description: "d", prompt })),
    { orchestrator, catalog: CATALOG, orchestratorModel: null, forbidden: [] },
  );
const states = async (runtime: Runtime, orchestrator: string) =>
  (await runtime.sessionJobs(orchestrator)).all().map(({ state }) => state.kind);

test(
  "two processes on one state directory share the running slots, and the second takes over what the first frees",
  inWorld(
    async (world) => {
      const other = await world.open();
      await start(world.runtime, "ses_a", "work 20000 1", "work 20000 2");
      await world.clock.advance(10);
      await start(other, "ses_b", "work 1000 3", "say 4");
      await world.clock.advance(5_000);
      expect(await states(world.runtime, "ses_a")).toEqual(["running", "running"]);
      expect(await states(other, "ses_b")).toEqual(["queued", "queued"]);
      expect(other.scheduler.counts()).toMatchObject({ running: 2, queued: 2 });
      await world.clock.advance(20_000);
      expect(await states(other, "ses_b")).toEqual(["completed", "completed"]);
      expect(leaseCount(other)).toBe(0);
    },
    { maxRunningJobs: 2 },
  ),
);

test(
  "a lease is held as long as its job runs, however long that takes",
  inWorld(
    async (world) => {
      const other = await world.open();
      await start(world.runtime, "ses_a", "work 600000 1");
      await world.clock.advance(10);
      await start(other, "ses_b", "say 2");
      await world.clock.advance(590_000);
      expect(await states(other, "ses_b")).toEqual(["queued"]);
      await world.clock.advance(20_000);
      expect(await states(other, "ses_b")).toEqual(["completed"]);
    },
    { maxRunningJobs: 1 },
  ),
);

const lease = (id: string, owner: string) => ({ id, jobID: `job_${id}`, orchestrator: "ses_dead", owner });
/** A pid that lives, and is not ours. */
const SILENT = "1:silent";
/** No process has this pid: Linux ends at 2^22. */
const DEAD = "4999999:dead";

describe("a slot whose owner", () => {
  const held = async (world: World, owner: string) => {
    const pool = await openPoolStore(world.stateDir);
    expect(pool.acquireLease(lease("x", owner), () => ({ slots: 1, gpu: null }), world.clock.now())).not.toBeNull();
    pool.close();
  };

  test(
    "is dead is taken at once",
    inWorld(
      async (world) => {
        await held(world, DEAD);
        const [id = ""] = await world.start("say 1");
        await world.reaches(id, "completed");
        expect(world.clock.now() - world.job(id).createdAt).toBeLessThan(1_000);
      },
      { maxRunningJobs: 1 },
    ),
  );

  test(
    "went silent is taken after half a minute, and not before",
    inWorld(
      async (world) => {
        await held(world, SILENT);
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

test(
  "a running job of a process that died is taken up when its session is opened again",
  inWorld(async (world) => {
    const former = world.runtime;
    const [id = ""] = await world.start("hang");
    const { state } = await world.reaches(id, "running");
    const leaseID = state.kind === "running" ? state.leaseID : "";
    const hides = world.runtime.pool.isLeaseAlive(leaseID, world.clock.now());
    expect(hides).toBe(true);
    former.pool.releaseLease(leaseID); // as reclaiming does once the pid is gone
    const other = await world.open();
    const seen: string[] = [];
    other.registry.onChange(({ job }) => seen.push(job.state.kind));
    const sessionJobs = await other.sessionJobs("ses_orchestrator");
    expect(seen).toEqual(["interrupted", "queued"]);
    expect(sessionJobs.get(id)?.childSession).toBe("ses_1");
  }),
);

test(
  "a session opened while its former process still winds up takes its jobs over when that has ended",
  inWorld(async (world) => {
    const [running = "", done = ""] = await world.start("hang", "work 5000 fine");
    await world.reaches(running, "running");
    const next = await world.open();
    const sessionJobs = await next.sessionJobs("ses_orchestrator");
    expect(sessionJobs.get(running)?.state.kind).toBe("running");
    await world.clock.advance(7_000);
    expect(sessionJobs.get(done)?.state).toMatchObject({ kind: "completed", result: "fine" });
    await world.close(world.runtime);
    await world.clock.advance(1_000);
    await world.clock.until("it goes on", () => sessionJobs.get(running)?.state.kind === "running");
    await messageJob(next, "ses_orchestrator", { job: running, message: "say again", interrupt: true });
    await world.clock.until("the answer", () => sessionJobs.get(running)?.state.kind === "completed");
    expect(world.sessions.lostPrompts).toEqual([]);
  }),
);

test(
  "a process that ends interrupts its own jobs only",
  inWorld(async (world) => {
    const [id = ""] = await world.start("work 5000 fine");
    await world.reaches(id, "running");
    const guest = await world.open();
    await guest.sessionJobs("ses_orchestrator");
    await world.close(guest);
    const third = await world.open();
    expect((await third.sessionJobs("ses_orchestrator")).get(id)?.state.kind).toBe("running");
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "fine" });
  }),
);

test("the pool asks before it gives a slot, gives it when one is released, and takes lapsed ones again", async () => {
  await inWorld(async (world) => {
    const { pool } = world.runtime;
    const now = world.clock.now();
    const mine = toOwner("me");
    const take = (id: string) =>
      pool.acquireLease(lease(id, mine), ({ leases: all }) => (all.length < 2 ? { slots: 1, gpu: null } : null), now);
    expect(["a", "b", "c"].map((id) => take(id) !== null)).toEqual([true, true, false]);
    expect(pool.poolState(now).leases).toMatchObject([{ id: "a", owner: mine, slots: 1, gpu: null }, { id: "b" }]);
    pool.releaseLease("a");
    expect(take("c")).not.toBeNull();
    const b = { ...lease("b", mine), slots: 1 as const, gpu: null };
    pool.renewLeases([b], now + 25_000);
    expect(pool.isLeaseAlive("b", now + 50_000)).toBe(true);
    expect(pool.isLeaseAlive("b", now + 55_001)).toBe(false);
    pool.renewLeases([b], now + 60_000); // the machine slept, and its job still runs
    expect(pool.isLeaseAlive("b", now + 80_000)).toBe(true);
  })();
});
