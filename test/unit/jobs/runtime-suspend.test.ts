import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { cancelJobs } from "../../../src/jobs/actions/cancel-jobs.ts";
import { gate, inWorld, leaseCount, ORCHESTRATOR, startIn, storedJob, type World } from "./runtime-world.ts";

test(
  "a job suspended while its sandbox is created gets another one, and the late sandbox is terminated",
  inWorld(async (world) => {
    const created = gate();
    world.machine.onCreate = () => created.passed;
    const [id = ""] = await world.start("work 500 1");
    await world.reaches(id, "starting");
    await world.close(world.runtime);
    expect(storedJob(world, id)).toMatchObject({ state: { kind: "interrupted" }, sandbox: { kind: "none" } });
    created.open();
    await world.clock.advance(10);
    expect(world.machine.sandboxes()).toEqual([]);
    await world.reopen();
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "1" });
    expect(world.sessions.prompts.map((prompt) => prompt.text)).toEqual([
      "work 500 1",
      expect.stringMatching(/^OpenCode ended while .* Your files are as you left them/),
    ]);
  }),
);

test(
  "suspending waits until a job has been parked",
  inWorld(async (world) => {
    const snapshotTaken = gate();
    world.machine.onSnapshot = () => snapshotTaken.passed;
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.clock.advance(60_000);
    world.clock.after(1_000, snapshotTaken.open);
    await world.reopen();
    expect([world.job(id).sandbox.kind, world.machine.sandboxes().length]).toEqual(["parked", 0]);
  }),
);

test(
  "suspending waits until a cancelled job has stopped before it closes the stores",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    world.sessions.onCall = (name) => {
      if (name === "abort") throw new Error("cannot abort"); // stopping its model loop then takes five seconds
    };
    const cancelling = cancelJobs(world.runtime, ORCHESTRATOR, [id], null).catch((error) => error);
    await world.clock.advance(10);
    await world.reopen();
    expect(await cancelling).toMatchObject([{ state: { kind: "cancelled" } }]);
    expect(world.job(id)).toMatchObject({ state: { kind: "cancelled" }, sandbox: { kind: "parked" } });
    expect(leaseCount(world.runtime)).toBe(0);
    expect(world.loggedProblems).toEqual([]);
  }),
);

test(
  "suspending parks the sandbox of an ended job ahead of time and keeps the sandbox of a running one",
  inWorld(async (world) => {
    const [done = "", running = ""] = await world.start("say 1", "hang");
    await world.reaches(done, "completed");
    await world.reaches(running, "running");
    await world.close(world.runtime);
    expect(storedJob(world, done).sandbox.kind).toBe("parked");
    const { sandbox } = storedJob(world, running);
    expect(world.machine.sandboxes().map(({ id }) => id)).toEqual([sandbox.kind === "live" ? sandbox.id : ""]);
    expect(world.loggedProblems).toEqual([]);
  }),
);

test(
  "suspending gives up on a snapshot that hangs after 15 s, and the next runtime parks the sandbox",
  inWorld(async (world) => {
    const snapshotTaken = gate();
    world.machine.onSnapshot = () => snapshotTaken.passed;
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    const before = world.clock.now();
    await world.close(world.runtime);
    expect(world.clock.now() - before).toBe(15_000);
    world.machine.onSnapshot = () => {};
    await world.reopen();
    expect(world.job(id).sandbox.kind).toBe("live");
    await world.clock.advance(60_000);
    expect(world.job(id).sandbox.kind).toBe("parked");
    snapshotTaken.open();
    await world.clock.advance(1);
    expect(world.machine.sandboxes()).toEqual([]);
  }),
);

test(
  "a suspended runtime starts no jobs",
  inWorld(async (world) => {
    const former = world.runtime;
    await world.start("say 1");
    await world.reopen();
    expect(await startIn(former, ORCHESTRATOR).catch((error) => error.code)).toBe("cancelled");
  }),
);

test(
  "a sandbox that ends after its process has detached causes no error and stays in the pool's records",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    const { sandbox } = await world.reaches(id, "running");
    const sandboxID = sandbox.kind === "live" ? sandbox.id : "";
    await world.close(world.runtime);
    expect(poolSandboxes(world)).toEqual([sandboxID]);
    world.machine.lose(sandboxID);
    await world.clock.advance(10);
    expect(world.loggedProblems).toEqual([]);
  }),
);

function poolSandboxes({ stateDir }: World): string[] {
  using database = new Database(join(stateDir, "pool.db"), { readonly: true });
  return database
    .query<{ id: string }, []>("SELECT id FROM sandboxes")
    .all()
    .map(({ id }) => id);
}

test(
  "suspending names the sessions whose jobs go on, or whose ends were not told, and no others",
  inWorld(async (world) => {
    const [done = ""] = await world.start("say 1");
    await startIn(world.runtime, "ses_busy", "hang");
    await world.reaches(done, "completed");
    await world.runtime.outbox.claim(ORCHESTRATOR, [done], { messageID: "msg_1", callID: "call_1" }, null);
    world.orchestrators.setTrace("call_1", "arrived");
    await world.clock.advance(90_000);
    expect(await world.close(world.runtime)).toEqual(["ses_busy"]);
  }),
);
