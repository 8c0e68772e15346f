import { expect, test } from "bun:test";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { bytes, CATALOG, gate, inWorld, leaseCount, ORCHESTRATOR, text, type World } from "../runtime-world.ts";

const NO_SKILLS = { ...CATALOG, skills: [] };

/** Begins to cancel; returns whether it is done. */
function cancel({ runtime }: World, ids: string[], reason: string | null = null): () => boolean {
  let done = false;
  void cancelJobs(runtime, ORCHESTRATOR, ids, reason).then(() => {
    done = true;
  });
  return () => done;
}
const cancelled = (world: World, ids: string[], reason?: string) =>
  world.clock.until("cancelled", cancel(world, ids, reason));

test(
  "a running job stops, keeps its files in a snapshot and frees sandbox and lease",
  inWorld(async (world) => {
    const [id = "", other = ""] = await world.start("hang", "work 9000 fine");
    await world.reaches(id, "running");
    await cancelled(world, [id], "no longer wanted");
    expect(world.job(id)).toMatchObject({
      state: { kind: "cancelled", reason: "no longer wanted" },
      sandbox: { kind: "parked" },
    });
    expect(world.sessions.aborted).toEqual([world.job(id).childSession ?? ""]);
    expect((await world.turns(id)).map(({ state }) => state)).toEqual(["stopped"]);
    expect([leaseCount(world.runtime), world.machine.sandboxes().length]).toEqual([1, 1]);
    expect((await world.reaches(other, "completed")).state).toMatchObject({ result: "fine" });
  }),
);

test(
  "the state is there at once, before anything has been stopped",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    const done = cancel(world, [id]);
    await world.clock.advance(0);
    expect([world.job(id).state.kind, done()]).toEqual(["cancelled", false]);
    await world.clock.until("cancelled", done);
  }),
);

test(
  "cancelling twice, also at the same time, is the same as once; the first reason stays",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    const [first, second] = [cancel(world, [id, id], "first"), cancel(world, [id], "second")];
    await world.clock.until("both", () => first() && second());
    await cancelled(world, [id], "third");
    expect(world.job(id).state).toMatchObject({ kind: "cancelled", reason: "first" });
    expect(world.operations("snapshot").length).toBe(1);
    expect(world.operations("terminate").length).toBe(1);
  }),
);

test(
  "a queued job leaves the queue without ever having had a sandbox",
  inWorld(
    async (world) => {
      const [first = "", second = "", third = ""] = await world.start("work 5000 1", "say 2", "say 3");
      await world.reaches(first, "running");
      await cancelled(world, [second]);
      expect(world.runtime.scheduler.place(third)?.position).toBe(1);
      await world.reaches(third, "completed");
      expect(world.operations("create")).toEqual([`create ${first}`, `create ${third}`]);
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "ended jobs are left as they are, and one foreign id cancels none",
  inWorld(async (world) => {
    const [done = "", running = ""] = await world.start("say 1", "hang");
    await world.reaches(done, "completed");
    await world.reaches(running, "running");
    await cancelled(world, [done]);
    expect(world.job(done).state).toMatchObject({ kind: "completed", result: "1" });
    const refused = await cancelJobs(world.runtime, ORCHESTRATOR, [running, "job_foreign"], null).catch(
      (error) => error,
    );
    expect(refused).toMatchObject({ code: "not_found", message: expect.stringContaining("job_foreign") });
    expect(world.job(running).state.kind).toBe("running");
  }),
);

test(
  "cancelled while its sandbox is being created, the job ends now and the late sandbox is ended",
  inWorld(async (world) => {
    const creating = gate();
    world.machine.onCreate = () => creating.passed;
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "starting");
    expect(world.job(id).sandbox.kind).toBe("creating");
    await cancelled(world, [id]);
    expect(world.job(id)).toMatchObject({ state: { kind: "cancelled" }, sandbox: { kind: "none" } });
    expect(leaseCount(world.runtime)).toBe(0);
    creating.open();
    await world.clock.advance(10);
    expect(world.machine.operations).toEqual([`create ${id}`, "terminate sbx_1"]);
    expect(world.sessions.created).toEqual([]);
  }),
);

test(
  "cancelled between two tries of creation, nothing further is tried",
  inWorld(async (world) => {
    const { PluginError } = await import("../../../../src/shared/error-code.ts");
    world.machine.onCreate = () => {
      throw new PluginError("no_capacity", "none left", { retryable: true });
    };
    const [id = ""] = await world.start("say 1");
    await world.clock.until("a try", () => world.operations("create").length === 1);
    await cancelled(world, [id]);
    await world.clock.advance(60_000);
    expect(world.operations("create").length).toBe(1);
  }),
);

const withSkill = { description: "d", prompt: "say 1", skills: ["golf"] };

test("cancelling a job while its skills are installed parks its sandbox and creates no session", async () => {
  const installing = gate();
  const body = async (world: World) => {
    const [id = ""] = await world.start(withSkill);
    await world.clock.until("a sandbox", () => world.machine.sandboxes().length === 1);
    const done = cancel(world, [id]);
    installing.open();
    await world.clock.until("cancelled", done);
    expect(world.machine.sandboxes()).toEqual([]);
    expect(world.sessions.created).toEqual([]);
    expect(leaseCount(world.runtime)).toBe(0);
  };
  await inWorld(body, {}, { catalog: () => installing.passed.then(() => NO_SKILLS) })();
});

test(
  "a message that meets a cancel under way wakes the job with its sandbox and its files",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await world.runtime.lifecycle.live(id)?.writeFile("work.txt", bytes("so far"));
    const done = cancel(world, [id]);
    await world.clock.advance(1);
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "work 3000 woken", interrupt: false });
    await world.clock.until("cancelled", done);
    const { sandbox } = await world.reaches(id, "running");
    expect(sandbox.kind).toBe("live");
    const file = await world.runtime.lifecycle.live(id)?.readFile("work.txt", { offset: 0, maxBytes: 99 });
    expect(text(file)).toBe("so far");
    expect((await world.reaches(id, "completed", "failed", "cancelled")).state).toMatchObject({ result: "woken" });
  }),
);

test("a run that fails while it unwinds does not end the job that was woken meanwhile", async () => {
  const installing = gate();
  let isFirst = true;
  const catalog = async () => {
    if (!isFirst) return NO_SKILLS;
    isFirst = false;
    await installing.passed;
    throw new Error("disk full");
  };
  const body = async (world: World) => {
    const [id = ""] = await world.start(withSkill);
    await world.clock.until("a sandbox", () => world.machine.sandboxes().length === 1);
    const done = cancel(world, [id]);
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "say woken", interrupt: false });
    await world.reaches(id, "starting");
    installing.open();
    await world.clock.until("cancelled", done);
    expect((await world.reaches(id, "completed", "failed", "cancelled")).state).toMatchObject({ result: "woken" });
  };
  await inWorld(body, {}, { catalog })();
});
