import { expect, test } from "bun:test";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { PluginError } from "../../../../src/shared/error-code.ts";
import { bytes, CATALOG, gate, inWorld, leaseCount, ORCHESTRATOR, text, type World } from "../runtime-world.ts";

const NO_SKILLS = { ...CATALOG, skills: [] };

/** Calls `cancelJobs`. The returned function says whether the call has returned. */
function beginCancel({ runtime }: World, ids: string[], reason: string | null = null): () => boolean {
  let hasReturned = false;
  void cancelJobs(runtime, ORCHESTRATOR, ids, reason).then(() => {
    hasReturned = true;
  });
  return () => hasReturned;
}
const cancel = (world: World, ids: string[], reason?: string) =>
  world.clock.until("the call returns", beginCancel(world, ids, reason));

test(
  "cancelling a running job stops its turn, parks its sandbox and frees its lease",
  inWorld(async (world) => {
    const [id = "", other = ""] = await world.start("hang", "work 9000 fine");
    await world.reaches(id, "running");
    await cancel(world, [id], "no longer wanted");
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
  "a job is recorded as cancelled at once, before its turn has been stopped",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    const hasReturned = beginCancel(world, [id]);
    await world.clock.advance(0);
    expect([world.job(id).state.kind, hasReturned()]).toEqual(["cancelled", false]);
    await world.clock.until("the call returns", hasReturned);
  }),
);

test(
  "cancelling a job again, even at the same time, changes nothing and keeps the first reason",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    const [first, second] = [beginCancel(world, [id, id], "first"), beginCancel(world, [id], "second")];
    await world.clock.until("both calls return", () => first() && second());
    await cancel(world, [id], "third");
    expect(world.job(id).state).toMatchObject({ kind: "cancelled", reason: "first" });
    expect(world.operations("snapshot").length).toBe(1);
    expect(world.operations("terminate").length).toBe(1);
  }),
);

test(
  "cancelling a queued job takes it out of the queue, and no sandbox is created for it",
  inWorld(
    async (world) => {
      const [first = "", second = "", third = ""] = await world.start("work 5000 1", "say 2", "say 3");
      await world.reaches(first, "running");
      await cancel(world, [second]);
      expect(world.runtime.scheduler.places([third]).get(third)?.position).toBe(1);
      await world.reaches(third, "completed");
      expect(world.operations("create")).toEqual([`create ${first}`, `create ${third}`]);
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "ended jobs stay as they are, and an unknown id cancels none of the jobs named with it",
  inWorld(async (world) => {
    const [done = "", running = ""] = await world.start("say 1", "hang");
    await world.reaches(done, "completed");
    await world.reaches(running, "running");
    await cancel(world, [done]);
    expect(world.job(done).state).toMatchObject({ kind: "completed", result: "1" });
    const refused = await cancelJobs(world.runtime, ORCHESTRATOR, [running, "job_unknown"], null).catch(
      (error) => error,
    );
    expect(refused).toMatchObject({ code: "not_found", message: expect.stringContaining("job_unknown") });
    expect(world.job(running).state.kind).toBe("running");
  }),
);

test(
  "a job cancelled while its sandbox is created ends at once, and the late sandbox is terminated",
  inWorld(async (world) => {
    const created = gate();
    world.machine.onCreate = () => created.passed;
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "starting");
    expect(world.job(id).sandbox.kind).toBe("creating");
    await cancel(world, [id]);
    expect(world.job(id)).toMatchObject({ state: { kind: "cancelled" }, sandbox: { kind: "none" } });
    expect(leaseCount(world.runtime)).toBe(0);
    created.open();
    await world.clock.advance(10);
    expect(world.machine.operations).toEqual([`create ${id}`, "terminate sbx_1"]);
    expect(world.sessions.running()).toEqual([]);
  }),
);

test(
  "a job cancelled between two attempts to create its sandbox makes no further attempt",
  inWorld(async (world) => {
    world.machine.onCreate = () => {
      throw new PluginError("no_capacity", "none left", { retryable: true });
    };
    const [id = ""] = await world.start("say 1");
    await world.clock.until("an attempt", () => world.operations("create").length === 1);
    await cancel(world, [id]);
    await world.clock.advance(60_000);
    expect(world.operations("create").length).toBe(1);
  }),
);

const withSkill = { description: "d", prompt: "say 1", skills: ["golf"] };

test("cancelling a job while its skills are installed parks its sandbox and stops its model", async () => {
  const installing = gate();
  const body = async (world: World) => {
    const [id = ""] = await world.start(withSkill);
    await world.clock.until("a sandbox", () => world.machine.sandboxes().length === 1);
    const hasReturned = beginCancel(world, [id]);
    installing.open();
    await world.clock.until("the call returns", hasReturned);
    expect(world.machine.sandboxes()).toEqual([]);
    expect(world.sessions.running()).toEqual([]);
    expect(leaseCount(world.runtime)).toBe(0);
  };
  await inWorld(body, {}, { catalog: () => installing.passed.then(() => NO_SKILLS) })();
});

test(
  "a message sent while a job is being cancelled wakes the job with its files",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await world.runtime.lifecycle.live(id)?.writeFile("work.txt", bytes("so far"));
    const hasReturned = beginCancel(world, [id]);
    await world.clock.advance(1);
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "work 3000 woken", interrupt: false });
    await world.clock.until("the call returns", hasReturned);
    const { sandbox } = await world.reaches(id, "running");
    expect(sandbox.kind).toBe("live");
    const file = await world.runtime.lifecycle.live(id)?.readFile("work.txt", { offset: 0, maxBytes: 99 });
    expect(text(file)).toBe("so far");
    expect((await world.reaches(id, "completed", "failed", "cancelled")).state).toMatchObject({ result: "woken" });
  }),
);

test("a cancelled run that fails while it stops does not end the job that was woken meanwhile", async () => {
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
    const hasReturned = beginCancel(world, [id]);
    await world.clock.until("it is cancelled", () => world.job(id).state.kind === "cancelled");
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "say woken", interrupt: false });
    await world.reaches(id, "starting");
    installing.open();
    await world.clock.until("the call returns", hasReturned);
    expect((await world.reaches(id, "completed", "failed", "cancelled")).state).toMatchObject({ result: "woken" });
  };
  await inWorld(body, {}, { catalog })();
});
