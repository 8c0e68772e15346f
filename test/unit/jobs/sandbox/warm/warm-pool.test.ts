import { describe, expect, test } from "bun:test";
import { gpusOf } from "../../../../../src/config/gpu.ts";
import { defaultOptions, type Options } from "../../../../../src/config/schema.ts";
import { messageJob } from "../../../../../src/jobs/actions/message-job.ts";
import type { Runtime } from "../../../../../src/jobs/runtime.ts";
import { PluginError } from "../../../../../src/shared/error-code.ts";
import { gate, inWorld, ORCHESTRATOR, startIn, type World } from "../../runtime-world.ts";

/* Sandboxes that are kept ready, with a machine and clock of the test's. */

const PRICES = { cpuCore: 1, memoryGiB: 0 };

const warmOptions = (warm: number, more: Partial<Options> = {}): Partial<Options> => {
  const { default: plain } = defaultOptions("/nowhere").environments;
  if (!plain) throw new Error("no default environment");
  return { environments: { default: { ...plain, warm, sandboxTimeoutMinutes: 600 } }, ...more };
};

const ready = (runtime: Runtime): number => runtime.warm.counts(ORCHESTRATOR)[0]?.ready ?? 0;
const warmUp = async (world: World, count: number): Promise<void> => {
  world.runtime.warm.touch(ORCHESTRATOR);
  await world.clock.until(`${count} are ready`, () => ready(world.runtime) === count);
};
const tagged = (world: World, tag: string) => world.machine.sandboxes().filter(({ spec }) => spec.tags[tag]);

describe("sandboxes that are kept ready", () => {
  test(
    "are made at a message and not before, go to a job, are replaced, and end when nobody writes any more",
    inWorld(async (world) => {
      await world.clock.advance(60_000);
      expect(world.operations("create")).toEqual([]);
      await warmUp(world, 2);
      expect(tagged(world, "warm").map(({ spec }) => Object.keys(spec.tags))).toEqual([["warm", "lab"], ["warm", "lab"]]); // biome-ignore format: short
      const [first] = world.machine.sandboxes();
      const [id = ""] = await world.start("hang");
      const job = await world.reaches(id, "running");
      expect(job.sandbox).toEqual({ kind: "live", id: first?.id ?? "" });
      expect(job.notes).toEqual([]);
      expect(tagged(world, "job")).toMatchObject([
        { id: first?.id, spec: { tags: { job: id, session: ORCHESTRATOR } } },
      ]);
      await world.clock.until("two are ready again", () => ready(world.runtime) === 2);
      await world.clock.advance(10 * 60_000);
      expect([ready(world.runtime), world.machine.sandboxes().length]).toEqual([0, 1]);
      expect(world.runtime.pool.warmSandboxes(0)).toEqual([]);
    }, warmOptions(2)),
  );

  test(
    "are waited for while they are made, by one job each, and others make their own",
    inWorld(
      async (world) => {
        const making = gate();
        world.machine.onCreate = (spec) => (spec.tags.warm ? making.passed : undefined);
        world.runtime.warm.touch(ORCHESTRATOR);
        await world.clock.until("two are being made", () => world.operations("create").length === 2);
        const ids = await world.start("say a", "say b", "say c");
        await world.reaches(ids[2] ?? "", "completed");
        making.open();
        for (const id of ids) await world.reaches(id, "completed");
        const taken = ids.filter((id) => !world.operations("create").includes(`create ${id}`));
        expect(taken.length).toBe(2);
        // Of one that was being made when it was taken, as much is known as of any: such as when it will be ended.
        for (const id of ids) expect([id, world.job(id).compute.until]).toEqual([id, expect.any(Number)]);
      },
      warmOptions(2, { parkAfterSeconds: 3600 }),
    ),
  );

  test(
    "are not for a job that starts from a snapshot",
    inWorld(
      async (world) => {
        const [id = ""] = await world.start("say a");
        await world.clock.until("it is parked", () => world.job(id).sandbox.kind === "parked");
        await warmUp(world, 1);
        const { sandbox } = world.job(id);
        const from = sandbox.kind === "parked" ? sandbox.snapshotID : "";
        const [next = ""] = await world.start({ description: "next", prompt: "say b", from });
        await world.reaches(next, "completed");
        expect(world.operations("create")).toContain(`create ${next}`);
      },
      warmOptions(1, { parkAfterSeconds: 1 }),
    ),
  );

  test(
    "count against the session's budget, which a job's share does not, and are given up before it stops jobs",
    inWorld(
      async (world) => {
        await warmUp(world, 1);
        const perHour = world.runtime.pool.warmCost(ORCHESTRATOR, world.clock.now()).usdPerHour;
        expect(perHour).toBeGreaterThan(0);
        await world.clock.advance(60_000);
        const before = world.runtime.warm.counts(ORCHESTRATOR)[0]?.usd ?? 0;
        expect(before).toBeCloseTo(perHour / 60, 3);
        const [id = ""] = await world.start("hang");
        await world.reaches(id, "running");
        const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
        const job = world.job(id);
        expect(world.clock.now() - (job.compute.since ?? 0)).toBeLessThan(20_000);
        expect(sessionJobs.accounts().settled.usd).toBeGreaterThan(before * 0.99);
        // Close to the ceiling only the jobs go on.
        for (let n = 0; n < 40 && ready(world.runtime) > 0; n++) {
          world.runtime.warm.touch(ORCHESTRATOR);
          await world.clock.advance(60_000);
        }
        expect(ready(world.runtime)).toBe(0);
        expect(world.job(id).state.kind).toBe("running");
      },
      warmOptions(1, { prices: PRICES, budget: { usdPerSession: 1, warnAt: 0.9 }, rescueMinutes: 1 }),
    ),
  );

  test(
    "that cannot be made fail no job, say why, and are tried again ever less often",
    inWorld(async (world) => {
      world.machine.onCreate = (spec) => {
        if (spec.tags.warm) throw new PluginError("sandbox_create_failed", "no room here", { retryable: true });
      };
      world.runtime.warm.touch(ORCHESTRATOR);
      const failed = () => world.operations("create").length;
      await world.clock.until("it has failed", () => failed() === 1);
      expect(world.runtime.warm.counts(ORCHESTRATOR)).toMatchObject([{ ready: 0, problem: "no room here" }]);
      await world.clock.advance(3 * 60_000);
      expect(failed()).toBeLessThan(6);
      const [id = ""] = await world.start("say fine");
      expect((await world.reaches(id, "completed", "failed")).state).toMatchObject({ result: "fine" });
      world.loggedProblems.length = 0;
    }, warmOptions(1)),
  );

  test(
    "of which one cannot be given to a job are ended, and the job has one of its own",
    inWorld(async (world) => {
      await warmUp(world, 1);
      const [warm] = world.machine.sandboxes();
      world.machine.lose(warm?.id ?? "");
      const [id = ""] = await world.start("say fine");
      expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "fine" });
    }, warmOptions(1)),
  );

  test(
    "end with OpenCode, and where it is killed with the next garbage collection, of whatever process",
    inWorld(async (world) => {
      await warmUp(world, 2);
      await world.close(world.runtime);
      expect(world.machine.sandboxes()).toEqual([]);
      const other = await world.open();
      const now = world.clock.now();
      expect(other.pool.warmSandboxes(now)).toEqual([]);
      // What a process leaves that was killed: one it made, one it was making, and one whose record was lost.
      const provider = world.machine.open();
      const make = (warm: string) =>
        provider.create({ name: warm, tags: { warm, lab: other.pool.identity() }, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open" }); // biome-ignore format: one line
      const record = { madeAt: now, since: now - 3_600_000, until: null, usdPerHour: 2, gpu: gpusOf("T4")[0] ?? null, devices: null, start: null, image: null, tree: null, takenAt: null }; // biome-ignore format: one line
      const row = { ...record, owner: "4194304:gone:1-boot:1", jobID: null, key: "k", environment: "default", orchestrator: ORCHESTRATOR, provider: "local" } as const; // biome-ignore format: one line
      const dead = { ...row, owner: `${2 ** 22}:gone` };
      await make("warm_lost");
      other.pool.beginWarm(() => ({ ...dead, id: "warm_ready", state: "ready", sandboxID: "x" }), now);
      await make("warm_ready");
      other.pool.beginWarm(() => ({ ...dead, id: "warm_making", state: "making", sandboxID: null, since: null }), now);
      await make("warm_making");
      // In this one an environment was built that the fourth was to start from.
      other.pool.beginWarm(() => ({ ...dead, id: "warm_4", state: "making", sandboxID: null, since: null }), now);
      const tags = { job: "warm_4", session: ORCHESTRATOR, lab: other.pool.identity(), environment: "content" };
      const builder = await provider.create({ name: "setup", tags, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open" }); // biome-ignore format: one line
      other.pool.insertSandbox(builder.id, "local", "warm_4", ORCHESTRATOR, now);
      other.pool.saveSandboxCost(builder.id, { usdPerHour: 5, chargedTo: now - 3_600_000 });
      world.machine.billedSince = now - 1_800_000;
      await other.collectGarbage();
      expect(world.machine.sandboxes()).toEqual([]);
      expect(other.pool.warmSandboxes(now)).toEqual([]);
      // No money is lost: an hour of the first, half of one of that under way, an hour of the build.
      expect(other.pool.warmCost(ORCHESTRATOR, now).usd).toBeCloseTo(2 + 1 + 5, 5);
      await provider.close();
      world.runtime = other;
    }, warmOptions(2)),
  );
});

test(
  "a job that needs the GPU of one that is kept ready gets it, and no other job is let in beside it",
  inWorld(
    async (world) => {
      const { pool } = world.runtime;
      const now = world.clock.now();
      const row = { id: "warm_1", state: "ready", owner: world.runtime.pool.identity(), jobID: null, sandboxID: "x", key: "k", environment: "default", orchestrator: ORCHESTRATOR, provider: "modal", madeAt: now, since: now, until: null, usdPerHour: 0, gpu: gpusOf("T4")[0] ?? null, devices: null, start: null, image: null, tree: null, takenAt: null } as const; // biome-ignore format: one line
      const owner = `${process.pid}:me`;
      pool.beginWarm(() => ({ ...row, owner }), now);
      expect(world.runtime.scheduler.counts()).toMatchObject({
        running: 0,
        gpus: { T4: { used: 1 }, total: { used: 1 } },
      });
      // Set aside for a job it counts as that job's own.
      expect(pool.takeWarm("job_1", owner, ([first]) => first ?? null, now)?.id).toBe("warm_1");
      expect(pool.poolState(now).leases).toMatchObject([{ jobID: "job_1", slots: 0, gpu: { type: "T4" } }]);
      expect(pool.takeWarm("job_2", owner, ([first]) => first ?? null, now)).toBeNull();
      const lease = { id: "lease_1", jobID: "job_1", orchestrator: ORCHESTRATOR, owner };
      expect(
        pool.acquireLease(lease, ({ leases }) => (leases.length === 0 ? { slots: 1, gpu: row.gpu } : null), now),
      ).not.toBeNull();
      expect(world.runtime.scheduler.counts().gpus).toMatchObject({ T4: { used: 1 } }); // once, not twice
      pool.releaseLease("lease_1");
      pool.returnWarm("warm_1", "job_1");
      // Queued jobs that need it come before it.
      world.runtime.warm.makeWay(({ leases }) => leases.length > 0);
      expect(pool.warmSandboxes(now)).toMatchObject([{ state: "ready" }]);
      pool.deleteWarm("warm_1", now);
    },
    warmOptions(1, { gpuLimits: { total: 1 } }),
  ),
);

describe("a GPU that is kept ready", () => {
  const { default: plain } = defaultOptions("/nowhere").environments;
  if (!plain) throw new Error("no default environment");
  const withGpu = gpusOf("T4")[0];
  const train = { ...plain, gpu: "T4", sandboxTimeoutMinutes: 600 };
  const onModal = (body: (world: World) => Promise<void>, gpus: number, more: Partial<Options> = {}) =>
    inWorld(
      body,
      {
        environments: { default: { ...train, warm: 1 }, other: { ...train, workspace: "empty" } },
        gpuLimits: { total: gpus },
        ...more,
      },
      { providerName: "modal" },
    );
  const warmRows = (world: World) => world.runtime.pool.warmSandboxes(world.clock.now());

  test(
    "makes way for a job that may not have it, which starts as soon as it has ended",
    onModal(async (world) => {
      await warmUp(world, 1);
      expect(warmRows(world)).toMatchObject([{ state: "ready", gpu: withGpu }]);
      const [id = ""] = await world.start({ description: "other", prompt: "say fine", environment: "other" });
      expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "fine" });
    }, 1),
  );

  test(
    "is not set aside for a job that goes on in a sandbox of its own",
    onModal(
      async (world) => {
        const [id = ""] = await world.start("say a");
        await world.reaches(id, "completed");
        await warmUp(world, 1);
        await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "hang", interrupt: false });
        await world.reaches(id, "running");
        expect(warmRows(world)).toMatchObject([{ state: "ready", jobID: null }]);
        expect(world.runtime.scheduler.counts().gpus).toMatchObject({ T4: { used: 2 } });
      },
      2,
      { parkAfterSeconds: 3_600 },
    ),
  );

  test(
    "costs a job that has waited for its making nothing before it has its machine",
    onModal(async (world) => {
      const making = gate();
      world.machine.onCreate = (spec) => (spec.tags.warm ? making.passed : undefined);
      world.runtime.warm.touch(ORCHESTRATOR);
      await world.clock.until("one is being made", () => world.operations("create").length === 1);
      const [id = ""] = await world.start("hang");
      await world.clock.advance(10 * 60_000);
      making.open();
      const job = await world.reaches(id, "running");
      expect(world.operations("create").length).toBe(1);
      expect(world.clock.now() - (job.compute.since ?? 0)).toBeLessThan(60_000);
    }, 1),
  );
});

test(
  "two processes keep no more than the ceiling together, and each job has a sandbox of its own",
  inWorld(async (world) => {
    const other = await world.open();
    for (const runtime of [world.runtime, other]) runtime.warm.touch(ORCHESTRATOR);
    await world.clock.until("two are ready", () => ready(world.runtime) === 2);
    await world.clock.advance(10_000);
    expect(tagged(world, "warm").length).toBe(2);
    const [own] = await startIn(world.runtime, ORCHESTRATOR, "hang");
    const [theirs] = await startIn(other, "ses_other", "hang");
    const sessions = [await world.runtime.sessionJobs(ORCHESTRATOR), await other.sessionJobs("ses_other")] as const;
    const sandboxOf = (at: 0 | 1, id: string | undefined) => sessions[at].get(id ?? "")?.sandbox;
    const both = () => [sandboxOf(0, own?.id), sandboxOf(1, theirs?.id)] as const;
    await world.clock.until("both have sandboxes", () => both().every((sandbox) => sandbox?.kind === "live"));
    expect(both()[0]).not.toEqual(both()[1]);
    await world.close(other);
  }, warmOptions(2)),
);
