import { expect, test } from "bun:test";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { bytes, gate, inWorld, leaseCount, ORCHESTRATOR, text, type World } from "../runtime-world.ts";

const send = ({ runtime }: World, job: string, message: string, interrupt = false) =>
  messageJob(runtime, ORCHESTRATOR, { job, message, interrupt });
const writeNote = (world: World, id: string, content: string) =>
  world.runtime.lifecycle.live(id)?.writeFile("note", bytes(content));
const readNote = async (world: World, id: string) =>
  text(await world.runtime.lifecycle.live(id)?.readFile("note", { offset: 0, maxBytes: 99 }));
const prompts = ({ sessions }: World) => sessions.prompts.map((prompt) => prompt.text);

test(
  "messages to a running job become its next turns in order, and the last answer is its result",
  inWorld(async (world) => {
    const [id = ""] = await world.start("work 5000 a");
    await world.reaches(id, "running");
    for (const message of ["say b", "work 100 c", "say d"]) await send(world, id, message);
    expect(prompts(world)).toEqual(["work 5000 a"]);
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "d" });
    expect(prompts(world)).toEqual(["work 5000 a", "say b", "work 100 c", "say d"]);
    expect(world.sessions.lostPrompts).toEqual([]);
    expect((await world.turns(id)).map(({ position, state }) => [position, state])).toEqual(
      [1, 2, 3, 4].map((at) => [at, "done"]),
    );
    expect(world.job(id).turns).toBe(4);
  }),
);

test(
  "a message queued behind a turn that fails is still answered",
  inWorld(async (world) => {
    const [id = ""] = await world.start("fail APIError");
    await send(world, id, "say recovered");
    expect((await world.reaches(id, "completed", "failed")).state).toMatchObject({ result: "recovered" });
    expect(world.sessions.lostPrompts).toEqual([]);
  }),
);

test(
  "an interrupting message stops the current turn and is sent once the session is at rest",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await world.clock.advance(100);
    await send(world, id, "say instead", true);
    const { state } = await world.reaches(id, "completed", "failed");
    expect(world.sessions.lostPrompts).toEqual([]);
    expect(state).toMatchObject({ result: "instead" });
    expect((await world.turns(id)).map((turn) => turn.state)).toEqual(["stopped", "done"]);
    expect(world.operations("create").length).toBe(1);
  }),
);

test(
  "a message that a cancel overtakes does not wake the job",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    const sent = send(world, id, "say awake").catch((error) => error);
    void cancelJobs(world.runtime, ORCHESTRATOR, [id], "enough");
    await world.clock.until("parked", () => world.job(id).sandbox.kind === "parked");
    expect(await sent).toMatchObject({ code: "cancelled", message: expect.stringContaining("Send it again") });
    expect((await world.turns(id)).length).toBe(1);
    expect(world.job(id).state.kind).toBe("cancelled");
    expect((await send(world, id, "say awake")).job.state.kind).toBe("queued");
  }),
);

test(
  "a message to a queued job becomes its second turn",
  inWorld(
    async (world) => {
      const [first = "", second = ""] = await world.start("work 5000 1", "say 2");
      await world.reaches(first, "running");
      await send(world, second, "say 3", true);
      expect((await world.reaches(second, "completed")).state).toMatchObject({ result: "3" });
      expect(prompts(world)).toEqual(["work 5000 1", "say 2", "say 3"]);
    },
    { maxRunningJobs: 1 },
  ),
);

for (const [kind, prompt] of [
  ["completed", "say 1"],
  ["failed", "fail APIError"],
] as const) {
  test(
    `a message wakes a ${kind} job in its own session, in the sandbox it still has`,
    inWorld(async (world) => {
      const [id = ""] = await world.start(prompt);
      const before = await world.reaches(id, kind);
      await writeNote(world, id, "kept");
      expect((await send(world, id, "work 500 again")).job.state.kind).toBe("queued");
      const during = await world.reaches(id, "running");
      expect([during.childSession, during.sandbox, during.startedAt]).toEqual([
        before.childSession,
        before.sandbox,
        before.startedAt,
      ]);
      expect(await readNote(world, id)).toBe("kept");
      expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "again" });
      expect(world.operations("create").length).toBe(1);
    }),
  );
}

test(
  "a job is parked a minute after its last turn, and a message restores its files in a new sandbox",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await writeNote(world, id, "kept");
    await world.clock.advance(59_000);
    expect(world.job(id).sandbox.kind).toBe("live");
    await world.clock.advance(1_000);
    const { sandbox } = world.job(id);
    if (sandbox.kind !== "parked") throw new Error(sandbox.kind);
    expect(world.machine.sandboxes()).toEqual([]);
    await send(world, id, "work 500 again");
    await world.reaches(id, "running");
    expect(await readNote(world, id)).toBe("kept");
    expect(world.machine.sandboxes()[0]?.spec.snapshotID).toBe(sandbox.snapshotID);
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "again" });
    expect(world.sessions.created.length).toBe(1);
  }),
);

test(
  "a message that arrives while the job is being parked waits until that is done, then wakes it",
  inWorld(async (world) => {
    const snapshotTaken = gate();
    world.machine.onSnapshot = () => snapshotTaken.passed;
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await writeNote(world, id, "kept");
    await world.clock.advance(60_000);
    await send(world, id, "work 500 again");
    await world.reaches(id, "starting");
    await world.clock.advance(5_000);
    expect(world.job(id).state.kind).toBe("starting");
    snapshotTaken.open();
    await world.reaches(id, "running");
    expect(await readNote(world, id)).toBe("kept");
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "again" });
    expect(world.machine.sandboxes().length).toBe(1);
  }),
);

test(
  "a message wakes a cancelled job with its files",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await writeNote(world, id, "kept");
    void cancelJobs(world.runtime, ORCHESTRATOR, [id], null);
    await world.clock.until("parked", () => world.job(id).sandbox.kind === "parked");
    await send(world, id, "work 500 again");
    await world.reaches(id, "running");
    expect(await readNote(world, id)).toBe("kept");
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "again" });
  }),
);

test(
  "a message to a refused task gets the refusal again, and one to an unknown job is not_found",
  inWorld(async (world) => {
    const [id = ""] = await world.start({ description: "bad", problem: "task 1: prompt: is missing" });
    const refused = await send(world, id, "say 1").catch((error) => error);
    expect(refused).toMatchObject({ code: "invalid_task", message: expect.stringContaining("prompt: is missing") });
    expect((await world.turns(id)).length).toBe(1);
    expect(await send(world, "job_99", "say 1").catch((error) => error.code)).toBe("not_found");
  }),
);

test(
  "waking a job whose sandbox was lost without a snapshot fails with restart_unrecoverable",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    const { sandbox } = await world.reaches(id, "running");
    if (sandbox.kind !== "live") throw new Error(sandbox.kind);
    world.machine.lose(sandbox.id);
    await world.reaches(id, "failed");
    await send(world, id, "say 1");
    await world.reaches(id, "failed");
    expect(world.job(id).state).toMatchObject({ failure: { code: "restart_unrecoverable" } });
    expect(leaseCount(world.runtime)).toBe(0);
  }),
);

test(
  "a message puts an ended job at the end of the queue",
  inWorld(
    async (world) => {
      const [first = ""] = await world.start("say 1");
      await world.reaches(first, "completed");
      const [second = "", third = ""] = await world.start("work 900 2", "say 3");
      await send(world, first, "say 4");
      for (const id of [first, second, third]) await world.reaches(id, "completed");
      expect(prompts(world)).toEqual(["say 1", "work 900 2", "say 3", "say 4"]);
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "a job in whose session the user has undone messages gets no message until they are redone",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say a");
    const { childSession, state } = await world.reaches(id, "completed");
    world.sessions.undone.add(childSession as string);
    for (const interrupt of [false, true]) {
      const refusal = await send(world, id, "say b", interrupt).catch((error) => error);
      expect(refusal).toMatchObject({ code: "prompt_failed", message: expect.stringContaining("for good") });
    }
    expect(world.job(id).state).toEqual(state);
    expect(prompts(world)).toEqual(["say a"]);
    world.sessions.undone.clear();
    await send(world, id, "say b");
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "b" });
  }),
);

test(
  "a job whose session was deleted keeps its result, and a message is refused instead of waking it in vain",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say a");
    const { childSession, state } = await world.reaches(id, "completed");
    world.sessions.delete(childSession as string);
    const refusal = await send(world, id, "say b").catch((error) => error);
    expect(refusal).toMatchObject({ code: "prompt_failed", message: expect.stringContaining("was deleted") });
    expect(world.job(id).state).toEqual(state);
  }),
);
