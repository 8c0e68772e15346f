import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cancelJobs } from "../../../src/jobs/cancel-jobs.ts";
import type { Job } from "../../../src/jobs/job.ts";
import type { JobBook } from "../../../src/jobs/job-book.ts";
import { messageJob } from "../../../src/jobs/message-job.ts";
import { startJobs } from "../../../src/jobs/start-jobs.ts";
import { sessionFile } from "../../../src/jobs/store/session-store.ts";
import { takeSnapshot } from "../../../src/jobs/take-snapshot.ts";
import type { TreeBase } from "../../../src/workspace/capture-tree.ts";
import { storeFolder } from "../../../src/workspace/project-store.ts";
import { bytes, CATALOG, gate, inWorld, leases, ORCHESTRATOR, text, type World } from "./lab-world.ts";

const send = ({ lab }: World, job: string, message: string) =>
  messageJob(lab, ORCHESTRATOR, { job, message, interrupt: false });
const note = async (world: World, id: string) =>
  text(await world.lab.keeper.live(id)?.readFile("note", { offset: 0, maxBytes: 99 }));

test(
  "after a restart running jobs go on in their sessions, queued ones start, ended ones stay",
  inWorld(
    async (world) => {
      const [done = "", running = "", queued = ""] = await world.start("say 1", "work 30000 2", "say 3");
      await world.reaches(done, "completed");
      const { childSession } = await world.reaches(running, "running");
      await world.close(world.lab);
      expect(stored(world, running).state.kind).toBe("interrupted");
      expect(world.sessions.running()).toEqual([]);
      await world.reopen();
      expect(world.job(done).state).toMatchObject({ kind: "completed", result: "1" });
      expect((await world.reaches(queued, "completed")).state).toMatchObject({ result: "3" });
      const resumed = await world.reaches(running, "completed");
      expect(resumed).toMatchObject({ childSession, turns: 1, state: { result: "2" } });
      expect((await world.turns(running)).map(({ state }) => state)).toEqual(["done"]);
      expect(world.sessions.prompts.at(-1)?.text).toContain("Your files are as you left them");
      expect(world.sessions.running()).toEqual([]);
      expect(leases(world.lab)).toBe(0);
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "an interrupted job goes on in the sandbox it left, and takes a message after that",
  inWorld(async (world) => {
    const [id = ""] = await world.start("work 20000 first");
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
    await world.close(world.lab);
    world.machine.lose(sandbox.kind === "live" ? sandbox.id : "");
    await world.reopen();
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
  "suspended while a sandbox is being created, the job gets another and the late one is ended",
  inWorld(async (world) => {
    const creating = gate();
    world.machine.onCreate = () => creating.passed;
    const [id = ""] = await world.start("work 500 1");
    await world.reaches(id, "starting");
    await world.close(world.lab);
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
  "suspended, the sandbox of an ended job is given up before its time, and that of a running one kept",
  inWorld(async (world) => {
    const [done = "", running = ""] = await world.start("say 1", "hang");
    await world.reaches(done, "completed");
    await world.reaches(running, "running");
    await world.close(world.lab);
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
    await world.close(world.lab);
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
    const kept = keepWork(world, await world.lab.book(ORCHESTRATOR), done);
    const others = keepWork(world, await world.lab.book("ses_other"), other?.id ?? "");
    const forgotten = world.lab.forget(ORCHESTRATOR);
    await world.clock.advance(10_000);
    await forgotten;
    await world.clock.advance(160_000);
    expect(world.sessions.running()).toEqual([]);
    expect(world.machine.sandboxes().map(({ spec }) => spec.name)).toEqual([]);
    expect(existsSync(sessionFile(world.stateDir, ORCHESTRATOR))).toBe(false);
    expect([kept, others].map((paths) => paths.map((path) => existsSync(path)))).toEqual([
      [false, false],
      [true, true],
    ]);
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
    await world.close(world.lab);
    expect(poolSandboxes(world)).toEqual([sandboxID]);
    world.machine.lose(sandboxID);
    await world.clock.advance(10);
    expect(world.complaints).toEqual([]);
  }),
);

/** Leaves what is left of a job when it was collected as a branch. */
function keepWork({ stateDir }: World, book: JobBook, id: string): string[] {
  const base = { project: "/project" } as TreeBase;
  book.update(id, (job) => ({ ...job, base }));
  const folder = storeFolder(stateDir, base.project);
  mkdirSync(join(folder, "jobs", id), { recursive: true });
  writeFileSync(join(folder, `branch.${id}`), "");
  return [join(folder, "jobs", id), join(folder, `branch.${id}`)];
}

/** A job as its store has it. */
function stored({ stateDir }: World, id: string): Job {
  using database = new Database(sessionFile(stateDir, ORCHESTRATOR), { readonly: true });
  const row = database.query<{ record: string }, [string]>("SELECT record FROM jobs WHERE id = ?").get(id);
  return JSON.parse(row?.record ?? "null") as Job;
}

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

test(
  "an interrupted job whose sandbox is gone goes on from its newest snapshot, and is told what that means",
  inWorld(async (world) => {
    const [id = ""] = await world.start("work 20000 done");
    const { sandbox } = await world.reaches(id, "running");
    await world.lab.keeper.live(id)?.writeFile("note", bytes("frozen"));
    await takeSnapshot(world.lab, ORCHESTRATOR, { job: id, label: null, path: null });
    await world.close(world.lab);
    world.machine.lose(sandbox.kind === "live" ? sandbox.id : "");
    await world.reopen();
    await world.reaches(id, "running");
    expect(await note(world, id)).toBe("frozen");
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "done" });
    expect(world.sessions.prompts.at(-1)?.text).toContain("restored from its newest snapshot");
  }),
);

test(
  "an interrupted job whose session is gone cannot be taken up, and says so",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    const { childSession } = await world.reaches(id, "running");
    await world.close(world.lab);
    world.sessions.delete(childSession as string);
    await world.reopen();
    expect((await world.reaches(id, "failed")).state).toMatchObject({ failure: { code: "restart_unrecoverable" } });
  }),
);

test(
  "a job cancelled as its process died does not take its turn up when it is woken",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await world.close(world.lab);
    await world.reopen();
    await cancelling(world, id);
    await send(world, id, "say woken");
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "woken" });
    expect((await world.turns(id)).map(({ state }) => state)).toEqual(["stopped", "done"]);
  }),
);

async function cancelling(world: World, id: string): Promise<void> {
  const cancelled = cancelJobs(world.lab, ORCHESTRATOR, [id], null);
  await world.clock.advance(10_000);
  await cancelled;
}
