import { expect, test } from "bun:test";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { snapshotJob } from "../../../../src/jobs/actions/snapshot-job.ts";
import { bytes, inWorld, leaseCount, ORCHESTRATOR, storedJob, text, type World } from "../runtime-world.ts";

const send = ({ runtime }: World, job: string, message: string) =>
  messageJob(runtime, ORCHESTRATOR, { job, message, interrupt: false });
const readNote = async (world: World, id: string) =>
  text(await world.runtime.lifecycle.live(id)?.readFile("note", { offset: 0, maxBytes: 99 }));

test(
  "after a restart running jobs go on in their sessions, queued jobs start, ended jobs stay ended",
  inWorld(
    async (world) => {
      const [done = "", running = "", queued = ""] = await world.start("say 1", "work 30000 2", "say 3");
      await world.reaches(done, "completed");
      const { childSession } = await world.reaches(running, "running");
      await world.close(world.runtime);
      expect(storedJob(world, running).state.kind).toBe("interrupted");
      expect(world.sessions.running()).toEqual([]);
      await world.reopen();
      expect(world.job(done).state).toMatchObject({ kind: "completed", result: "1" });
      expect((await world.reaches(queued, "completed")).state).toMatchObject({ result: "3" });
      const resumed = await world.reaches(running, "completed");
      expect(resumed).toMatchObject({ childSession, turns: 1, state: { result: "2" } });
      expect((await world.turns(running)).map(({ state }) => state)).toEqual(["done"]);
      expect(world.sessions.prompts.at(-1)?.text).toContain("Your files are as you left them");
      expect(world.sessions.running()).toEqual([]);
      expect(leaseCount(world.runtime)).toBe(0);
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "a job that is to go on is not begun anew where the prompt that said so never arrived",
  inWorld(async (world) => {
    const [id = ""] = await world.start("work 20000 first");
    await world.reaches(id, "running");
    let isLost = true;
    let lost = 0;
    world.sessions.onCall = async (what) => {
      if (what !== "prompt" || !isLost) return;
      lost += 1;
      await new Promise<void>((resolve) => world.clock.after(20_000, resolve));
      throw new Error("OpenCode has reloaded");
    };
    await world.reopen();
    await world.clock.until("it is prompted", () => lost > 0);
    const closing = world.close(world.runtime);
    isLost = false;
    await closing;
    await world.reopen();
    await world.clock.until("it is prompted again", () => world.sessions.prompts.length === 2);
    expect(world.sessions.prompts.at(-1)?.text).toContain("OpenCode ended while you were");
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "first" });
  }),
);

test(
  "an interrupted job resumes in the sandbox it had, and then answers a message",
  inWorld(async (world) => {
    const [id = ""] = await world.start("work 20000 first");
    const before = await world.reaches(id, "running");
    await world.runtime.lifecycle.live(id)?.writeFile("note", bytes("kept"));
    await world.reopen();
    await send(world, id, "work 500 again");
    const during = await world.reaches(id, "running");
    expect([during.childSession, during.sandbox]).toEqual([before.childSession, before.sandbox]);
    expect(await readNote(world, id)).toBe("kept");
    expect(world.operations("attach").length).toBe(1);
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "again" });
  }),
);

test(
  "an interrupted job whose sandbox is gone without a snapshot fails and says why",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    const { sandbox } = await world.reaches(id, "running");
    await world.close(world.runtime);
    world.machine.lose(sandbox.kind === "live" ? sandbox.id : "");
    await world.reopen();
    expect((await world.reaches(id, "failed")).state).toMatchObject({ failure: { code: "restart_unrecoverable" } });
  }),
);

test(
  "revives a job that was parked before the restart",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.runtime.lifecycle.live(id)?.writeFile("note", bytes("kept"));
    await world.clock.advance(61_000);
    await world.reopen();
    expect(world.job(id).sandbox.kind).toBe("parked");
    await send(world, id, "work 500 again");
    await world.reaches(id, "running");
    expect(await readNote(world, id)).toBe("kept");
  }),
);

test(
  "an interrupted job whose sandbox is gone resumes from its newest snapshot, and its agent is told",
  inWorld(async (world) => {
    const [id = ""] = await world.start("work 20000 done");
    const { sandbox } = await world.reaches(id, "running");
    await world.runtime.lifecycle.live(id)?.writeFile("note", bytes("in the snapshot"));
    await snapshotJob(world.runtime, ORCHESTRATOR, { job: id, label: null, path: null });
    await world.close(world.runtime);
    world.machine.lose(sandbox.kind === "live" ? sandbox.id : "");
    await world.reopen();
    await world.reaches(id, "running");
    expect(await readNote(world, id)).toBe("in the snapshot");
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "done" });
    expect(world.sessions.prompts.at(-1)?.text).toContain("restored from its newest snapshot");
  }),
);

test(
  "an interrupted job whose session is gone fails and says why",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    const { childSession } = await world.reaches(id, "running");
    await world.close(world.runtime);
    world.sessions.delete(childSession as string);
    await world.reopen();
    expect((await world.reaches(id, "failed")).state).toMatchObject({ failure: { code: "restart_unrecoverable" } });
  }),
);

test(
  "a job cancelled as its process died does not resume its old turn when it is woken",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await world.close(world.runtime);
    await world.reopen();
    await cancel(world, id);
    await send(world, id, "say woken");
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "woken" });
    expect((await world.turns(id)).map(({ state }) => state)).toEqual(["stopped", "done"]);
  }),
);

async function cancel(world: World, id: string): Promise<void> {
  const cancelled = cancelJobs(world.runtime, ORCHESTRATOR, [id], null);
  await world.clock.advance(10_000);
  await cancelled;
}
