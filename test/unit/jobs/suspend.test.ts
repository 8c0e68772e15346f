import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { cancelJobs } from "../../../src/jobs/actions/cancel-jobs.ts";
import { startJobs } from "../../../src/jobs/actions/start-jobs.ts";
import { CATALOG, gate, inWorld, leases, ORCHESTRATOR, stored, type World } from "./runtime-world.ts";

test(
  "suspended while a sandbox is being created, the job gets another and the late one is ended",
  inWorld(async (world) => {
    const creating = gate();
    world.machine.onCreate = () => creating.passed;
    const [id = ""] = await world.start("work 500 1");
    await world.reaches(id, "starting");
    await world.close(world.runtime);
    expect(stored(world, id)).toMatchObject({ state: { kind: "interrupted" }, sandbox: { kind: "none" } });
    creating.open();
    await world.clock.advance(10);
    expect(world.machine.sandboxes()).toEqual([]);
    await world.reopen();
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "1" });
    expect(world.sessions.prompts.map((prompt) => prompt.text)).toEqual(["work 500 1"]);
  }),
);

test(
  "suspended while a job is being parked, the parking is finished first",
  inWorld(async (world) => {
    const freezing = gate();
    world.machine.onFreeze = () => freezing.passed;
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.clock.advance(60_000);
    world.clock.after(1_000, freezing.open);
    await world.reopen();
    expect([world.job(id).sandbox.kind, world.machine.sandboxes().length]).toEqual(["parked", 0]);
  }),
);

test(
  "suspended while a cancelled job still unwinds, that is waited for before the stores are closed",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    world.sessions.onCall = (name) => {
      if (name === "abort") throw new Error("not today"); // so that its loop takes five seconds to be given up
    };
    const cancelling = cancelJobs(world.runtime, ORCHESTRATOR, [id], null).catch((error) => error);
    await world.clock.advance(10);
    await world.reopen();
    expect(await cancelling).toMatchObject([{ state: { kind: "cancelled" } }]);
    expect(world.job(id)).toMatchObject({ state: { kind: "cancelled" }, sandbox: { kind: "parked" } });
    expect(leases(world.runtime)).toBe(0);
    expect(world.complaints).toEqual([]);
  }),
);

test(
  "suspended, the sandbox of an ended job is given up before its time, and that of a running one kept",
  inWorld(async (world) => {
    const [done = "", running = ""] = await world.start("say 1", "hang");
    await world.reaches(done, "completed");
    await world.reaches(running, "running");
    await world.close(world.runtime);
    expect(stored(world, done).sandbox.kind).toBe("parked");
    const { sandbox } = stored(world, running);
    expect(world.machine.sandboxes().map(({ id }) => id)).toEqual([sandbox.kind === "live" ? sandbox.id : ""]);
    expect(world.complaints).toEqual([]);
  }),
);

test(
  "a snapshot that hangs does not keep a lab from being suspended, and its sandbox is found again",
  inWorld(async (world) => {
    const freezing = gate();
    world.machine.onFreeze = () => freezing.passed;
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    const before = world.clock.now();
    await world.close(world.runtime);
    expect(world.clock.now() - before).toBe(15_000);
    world.machine.onFreeze = () => {};
    await world.reopen();
    expect(world.job(id).sandbox.kind).toBe("live");
    await world.clock.advance(60_000);
    expect(world.job(id).sandbox.kind).toBe("parked");
    freezing.open();
    await world.clock.advance(1);
    expect(world.machine.sandboxes()).toEqual([]);
  }),
);

test(
  "a suspended lab takes nothing more",
  inWorld(async (world) => {
    const former = world.runtime;
    await world.start("say 1");
    await world.reopen();
    const start = {
      orchestrator: ORCHESTRATOR,
      catalog: CATALOG,
      orchestratorModel: null,
      forbidden: [],
      provider: "local" as const,
    };
    expect(await startJobs(former, [], start).catch((error) => error.code)).toBe("cancelled");
  }),
);

test(
  "a sandbox that ends after its process let go of it troubles nobody, and is still known to the pool",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    const { sandbox } = await world.reaches(id, "running");
    const sandboxID = sandbox.kind === "live" ? sandbox.id : "";
    await world.close(world.runtime);
    expect(poolSandboxes(world)).toEqual([sandboxID]);
    world.machine.lose(sandboxID);
    await world.clock.advance(10);
    expect(world.complaints).toEqual([]);
  }),
);

/** Leaves what is left of a job when it was collected as a branch. */

function poolSandboxes({ stateDir }: World): string[] {
  using database = new Database(join(stateDir, "pool.db"), { readonly: true });
  return database
    .query<{ id: string }, []>("SELECT id FROM sandboxes")
    .all()
    .map(({ id }) => id);
}
