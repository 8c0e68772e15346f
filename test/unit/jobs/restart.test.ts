import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cancelJobs } from "../../../src/jobs/cancel-jobs.ts";
import { messageJob } from "../../../src/jobs/message-job.ts";
import { startJobs } from "../../../src/jobs/start-jobs.ts";
import { sessionFile } from "../../../src/jobs/store/session-store.ts";
import { bytes, CATALOG, gate, inWorld, leases, ORCHESTRATOR, text, type World } from "./lab-world.ts";

const send = ({ lab }: World, job: string, message: string) =>
  messageJob(lab, ORCHESTRATOR, { job, message, interrupt: false });
const note = async (world: World, id: string) =>
  text(await world.lab.keeper.live(id)?.readFile("note", { offset: 0, maxBytes: 99 }));

test(
  "after a restart running jobs are interrupted, queued ones go on, ended ones stay",
  inWorld(
    async (world) => {
      const [done = "", running = "", queued = ""] = await world.start("say 1", "hang", "say 3");
      await world.reaches(done, "completed");
      await world.reaches(running, "running");
      await world.reopen();
      expect(world.job(done).state).toMatchObject({ kind: "completed", result: "1" });
      expect(world.job(running).state.kind).toBe("interrupted");
      expect((await world.reaches(queued, "completed")).state).toMatchObject({ result: "3" });
      expect((await world.turns(running)).map(({ state }) => state)).toEqual(["stopped"]);
      expect(world.sessions.running()).toEqual([]);
      expect(leases(world.lab)).toBe(0);
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "an interrupted job is woken by a message, in the sandbox it left",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    const before = await world.reaches(id, "running");
    await world.lab.keeper.live(id)?.writeFile("note", bytes("kept"));
    await world.reopen();
    await send(world, id, "work 500 again");
    const during = await world.reaches(id, "running");
    expect([during.childSession, during.sandbox]).toEqual([before.childSession, before.sandbox]);
    expect(await note(world, id)).toBe("kept");
    expect(world.did("attach").length).toBe(1);
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "again" });
  }),
);

test(
  "an interrupted job whose sandbox is gone without a snapshot cannot be brought back, and says so",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    const { sandbox } = await world.reaches(id, "running");
    await world.reopen();
    world.machine.lose(sandbox.kind === "live" ? sandbox.id : "");
    await send(world, id, "say again");
    expect((await world.reaches(id, "failed")).state).toMatchObject({ failure: { code: "restart_unrecoverable" } });
  }),
);

test(
  "a job parked before the restart is revived after it",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.lab.keeper.live(id)?.writeFile("note", bytes("kept"));
    await world.clock.advance(61_000);
    await world.reopen();
    expect(world.job(id).sandbox.kind).toBe("parked");
    await send(world, id, "work 500 again");
    await world.reaches(id, "running");
    expect(await note(world, id)).toBe("kept");
  }),
);

test(
  "suspended while a sandbox is being created, the job is interrupted and the late sandbox ended",
  inWorld(async (world) => {
    const creating = gate();
    world.machine.onCreate = () => creating.passed;
    const [id = ""] = await world.start("work 500 1");
    await world.reaches(id, "starting");
    await world.reopen();
    expect(world.job(id)).toMatchObject({ state: { kind: "interrupted" }, sandbox: { kind: "none" } });
    creating.open();
    await world.clock.advance(10);
    expect(world.machine.sandboxes()).toEqual([]);
    await send(world, id, "say 2");
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "2" });
    expect(world.sessions.prompts.map((prompt) => prompt.text)).toEqual(["work 500 1", "say 2"]);
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
    const cancelling = cancelJobs(world.lab, ORCHESTRATOR, [id], null).catch((error) => error);
    await world.clock.advance(10);
    await world.reopen();
    expect(await cancelling).toMatchObject([{ state: { kind: "cancelled" } }]);
    expect(world.job(id)).toMatchObject({ state: { kind: "cancelled" }, sandbox: { kind: "parked" } });
    expect(leases(world.lab)).toBe(0);
    expect(world.complaints).toEqual([]);
  }),
);

test(
  "a suspended lab takes nothing more",
  inWorld(async (world) => {
    const former = world.lab;
    await world.start("say 1");
    await world.reopen();
    const start = { orchestrator: ORCHESTRATOR, catalog: CATALOG, orchestratorModel: null, provider: "local" as const };
    expect(await startJobs(former, [], start).catch((error) => error.code)).toBe("cancelled");
  }),
);

test(
  "a deleted session takes its jobs, sandboxes, snapshots and files with it, and no other's",
  inWorld(async (world) => {
    const [running = "", done = ""] = await world.start("hang", "say 1", "say 2");
    const context = { catalog: CATALOG, orchestratorModel: null, provider: "local" as const };
    const request = { description: "other", prompt: "work 90000 fine" };
    const [other] = await startJobs(world.lab, [request], { ...context, orchestrator: "ses_other" });
    await world.reaches(done, "completed");
    await world.clock.advance(61_000);
    await world.reaches(running, "running");
    expect(world.job(done).sandbox.kind).toBe("parked");
    const forgotten = world.lab.forget(ORCHESTRATOR);
    await world.clock.advance(10_000);
    await forgotten;
    await world.clock.advance(160_000);
    expect(world.sessions.running()).toEqual([]);
    expect(world.machine.sandboxes().map(({ spec }) => spec.name)).toEqual([]);
    expect(existsSync(sessionFile(world.stateDir, ORCHESTRATOR))).toBe(false);
    expect(world.lab.snapshots.list(ORCHESTRATOR)).toEqual([]);
    expect(world.machine.snapshotIDs().length).toBe(1); // the other session's, parked after its end
    const book = await world.lab.book("ses_other");
    expect(book.get(other?.id ?? "")?.state).toMatchObject({ kind: "completed", result: "fine" });
    expect((await world.lab.book(ORCHESTRATOR)).jobs()).toEqual([]);
  }),
);

test(
  "a sandbox that ends after its process let go of it troubles nobody, and is still known to the pool",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    const { sandbox } = await world.reaches(id, "running");
    const sandboxID = sandbox.kind === "live" ? sandbox.id : "";
    await world.reopen();
    expect(poolSandboxes(world)).toEqual([sandboxID]);
    world.machine.lose(sandboxID);
    await world.clock.advance(10);
    expect(world.complaints).toEqual([]);
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
  "forgetting a session that never had jobs touches nothing",
  inWorld(async (world) => {
    await world.lab.forget("ses_unknown");
    expect(existsSync(sessionFile(world.stateDir, "ses_unknown"))).toBe(false);
  }),
);
