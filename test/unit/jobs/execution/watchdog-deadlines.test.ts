import { describe, expect, test } from "bun:test";
import { optionsSchema } from "../../../../src/config/schema.ts";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { toJobView } from "../../../../src/views/job-view.ts";
import { bytes, gate, inWorld, leaseCount, ORCHESTRATOR, text, type World } from "../runtime-world.ts";

const MIN = 60_000;
const ENVIRONMENTS = optionsSchema.parse({ environments: { short: { sandboxTimeoutMinutes: 10 } } }).environments;
const send = (world: World, job: string, message: string) =>
  messageJob(world.runtime, ORCHESTRATOR, { job, message, interrupt: false });
const write = async (world: World, id: string) => world.runtime.lifecycle.live(id)?.writeFile("kept", bytes("kept"));
const read = async (world: World, id: string) =>
  text(await world.runtime.lifecycle.live(id)?.readFile("kept", { offset: 0, maxBytes: 9 }));
const reasonOf = (world: World, id: string) => {
  const { runtime, clock } = world;
  const job = world.job(id);
  const live = runtime.activity.of(job.childSession);
  const pendingSince = runtime.lifecycle.pendingSince(id);
  return toJobView(job, { place: null, live, creating: null, pendingSince, now: clock.now() }).reason;
};

describe("a model whose provider asks to wait", () => {
  const wait = (world: World, id: string, inMs: number, message: string) =>
    world.sessions.emit({
      kind: "retry",
      sessionID: world.job(id).childSession ?? "",
      attempt: 1,
      message,
      nextAt: world.clock.now() + inMs,
    });

  test(
    "for hours ends its job at once, with the time, its words and its files",
    inWorld(async (world) => {
      const [id = "", other = "", fine = ""] = await world.start(
        "steps then hang So far|",
        "hang",
        "work 120000 not affected",
      );
      await world.reaches(fine, "running");
      await world.clock.advance(1_000);
      const before = world.clock.now();
      for (const job of [id, other]) wait(world, job, 300 * MIN, "Usage limit reached");
      const { state, sandbox } = await world.reaches(id, "failed");
      expect(state).toMatchObject({ failure: { code: "usage_limit", retryable: true }, result: "So far" });
      expect((await world.reaches(other, "failed")).state).toMatchObject({ failure: { code: "usage_limit" } });
      expect([sandbox.kind, leaseCount(world.runtime)]).toEqual(["parked", 1]);
      expect(world.clock.now() - before).toBeLessThan(10_000);
      expect((await world.reaches(fine, "completed")).state).toMatchObject({ result: "not affected" });
      await send(world, id, "say again");
      expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "again" });
    }),
  );

  test(
    "for minutes is waited for, shown, and not silent until then",
    inWorld(async (world) => {
      const [id = ""] = await world.start("work 1500000 at last");
      await world.reaches(id, "running");
      await world.clock.advance(10 * MIN);
      wait(world, id, 14 * MIN, "Rate limit exceeded");
      await world.clock.advance(13 * MIN);
      expect(reasonOf(world, id)).toBe("model retry 1 of 5, next in 60 s: Rate limit exceeded");
      await world.clock.advance(3 * MIN);
      expect(world.job(id).state).toMatchObject({ kind: "completed", result: "at last" });
      expect(world.sessions.prompts.length).toBe(1);
    }),
  );
});

describe("a silent model", () => {
  test(
    "is shown within seconds, retried once after 15 minutes, then its job fails with stalled and keeps its files",
    inWorld(async (world) => {
      const [id = "", sibling = ""] = await world.start("hang", "say fine");
      await world.reaches(id, "running");
      await write(world, id);
      await world.reaches(sibling, "completed");
      await world.clock.advance(5_000);
      expect(reasonOf(world, id)).toMatch(/^nothing heard from its model for [345] s$/);
      await world.clock.advance(14 * MIN);
      expect(world.sessions.prompts.length).toBe(2);
      await world.clock.advance(1.5 * MIN);
      expect(world.sessions.prompts.at(-1)?.text).toStartWith("You were stopped because");
      expect(world.job(id)).toMatchObject({ state: { kind: "running" }, turns: 1 });
      await world.clock.advance(15.5 * MIN);
      expect(world.job(id)).toMatchObject({
        state: { kind: "failed", failure: { code: "stalled", retryable: true } },
        sandbox: { kind: "parked" },
      });
      expect([leaseCount(world.runtime), world.sessions.running(), world.sessions.lostPrompts]).toEqual([0, [], []]);
      await send(world, id, "work 1000 again");
      await world.reaches(id, "running");
      expect(await read(world, id)).toBe("kept");
      await world.reaches(id, "completed");
    }),
  );

  test(
    "that answers when its turn is retried lets its job complete",
    inWorld(async (world) => {
      world.sessions.afterStall = "say at last";
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      await send(world, id, "hang");
      await world.clock.advance(16 * MIN);
      expect(world.job(id).state.kind).toBe("running"); // its next turn may stall once too
      await world.clock.advance(16 * MIN);
      expect(world.job(id).state).toMatchObject({ kind: "completed", result: "at last" });
      expect(world.sessions.prompts.length).toBe(4);
    }),
  );

  test(
    "counts as silent while its tool waits for an answer that nobody gives, and not once it is answered",
    inWorld(async (world) => {
      world.sessions.afterStall = "say at last";
      const [id = "", other = ""] = await world.start(`tool ${60 * MIN} late`, `tool ${30 * MIN} done`);
      for (const job of [id, other]) await world.reaches(job, "running");
      const question = (job: string, isOpen: boolean) => {
        const sessionID = world.job(job).childSession ?? "";
        world.sessions.emit({ kind: "question", sessionID, request: "per_1", isOpen });
      };
      question(id, true);
      question(other, true);
      await world.clock.advance(MIN);
      question(other, false);
      await world.clock.advance(16 * MIN);
      expect(world.job(id).state).toMatchObject({ kind: "completed", result: "at last" });
      expect(world.sessions.prompts.length).toBe(3);
      await world.clock.advance(15 * MIN);
      expect(world.job(other).state).toMatchObject({ kind: "completed", result: "done" });
    }),
  );

  test(
    "does not count as silent while a tool runs, even after another tool has ended",
    inWorld(async (world) => {
      const [id = ""] = await world.start(`tool ${60 * MIN} done`);
      await world.reaches(id, "running");
      const sessionID = world.job(id).childSession ?? "";
      await world.clock.advance(1_000);
      world.sessions.emit({ kind: "tool", sessionID, call: "other", tool: "sandbox_read", running: true });
      world.sessions.emit({ kind: "tool", sessionID, call: "other", tool: "sandbox_read", running: false });
      expect(world.runtime.activity.of(sessionID).tool).toBe("sandbox_exec");
      await world.clock.advance(61 * MIN);
      expect(world.job(id).state).toMatchObject({ kind: "completed", result: "done" });
    }),
  );

  test(
    "does not count as silent while output arrives",
    inWorld(async (world) => {
      const [id = ""] = await world.start(`work ${40 * MIN} done`);
      await world.reaches(id, "running");
      for (let minute = 0; minute < 40; minute += 5) {
        await world.clock.advance(5 * MIN - 1);
        world.sessions.emit({ kind: "output", sessionID: world.job(id).childSession ?? "" });
      }
      await world.reaches(id, "completed");
    }),
  );
});

describe("a job at its time limit", () => {
  const noStallLimit = { stallTimeoutMinutes: 1e4 };
  const withTimeout = (prompt: string, minutes: number) => ({ description: "d", prompt, timeout_minutes: minutes });

  test(
    "is told to wrap up and fails with timed_out, its last text and a snapshot; a message wakes it with its files",
    inWorld(async (world) => {
      const [id = ""] = await world.start(withTimeout("until messaged half of it", 60));
      await world.reaches(id, "running");
      await write(world, id);
      await world.clock.advance(54 * MIN);
      expect(world.sessions.addedMessages).toEqual([]);
      const failures: unknown[] = [];
      world.runtime.registry.onChange(({ job }) => {
        if (job.state.kind === "failed") failures.push([job.state, job.sandbox.kind]);
      });
      await world.clock.advance(1.5 * MIN);
      expect(world.sessions.addedMessages).toMatchObject([
        { agent: "sandbox_worker", text: expect.stringContaining("2 min") },
      ]);
      expect(world.job(id).state).toMatchObject({
        kind: "failed",
        failure: { code: "timed_out", retryable: true, message: expect.stringContaining("60 minutes") },
        result: "half of it",
      });
      expect(failures[0]).toMatchObject([{ result: "half of it" }, "parked"]); // it did not fail before its snapshot was taken
      expect([world.machine.sandboxes().length, leaseCount(world.runtime)]).toEqual([0, 0]);
      await send(world, id, "work 1000 all of it");
      await world.reaches(id, "running");
      expect(await read(world, id)).toBe("kept");
      expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "all of it" });
    }, noStallLimit),
  );

  test(
    "is stopped before the limit if it does not wrap up, and a message sent meanwhile wakes it",
    inWorld(async (world) => {
      const { passed, open } = gate();
      const [id = ""] = await world.start(withTimeout(`work ${600 * MIN} never`, 60));
      await world.reaches(id, "running");
      await world.clock.advance(57 * MIN);
      expect(world.job(id).state.kind).toBe("running");
      world.machine.onSnapshot = () => passed;
      await world.clock.advance(0.75 * MIN);
      const sent = send(world, id, "say woken");
      open();
      await world.clock.advance(1_000);
      await sent;
      expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "woken" });
      const kinds = (await world.turns(id)).map(({ state }) => state);
      expect(kinds).toEqual(["stopped", "done"]);
    }, noStallLimit),
  );

  test(
    "fails even if it cannot be snapshotted, and is parked once that works again",
    inWorld(async (world) => {
      world.machine.onSnapshot = () => Promise.reject(new Error("disk full"));
      const [id = ""] = await world.start(withTimeout("hang", 10));
      await world.reaches(id, "running");
      await world.clock.advance(10 * MIN);
      expect(world.job(id)).toMatchObject({ state: { failure: { code: "timed_out" } }, sandbox: { kind: "live" } });
      world.machine.onSnapshot = () => {};
      await world.clock.advance(3 * MIN);
      expect(world.job(id).sandbox.kind).toBe("parked");
    }, noStallLimit),
  );

  test(
    "fails with timed_out if its sandbox is lost while it finishes: no other is made for that",
    inWorld(async (world) => {
      const [lost = ""] = await world.start(withTimeout("hang", 60));
      await world.reaches(lost, "running");
      await world.clock.advance(56 * MIN);
      const [sandbox] = world.machine.sandboxes();
      world.machine.lose(sandbox?.id ?? "");
      await world.clock.advance(10 * MIN);
      expect(world.job(lost).state).toMatchObject({ kind: "failed", failure: { code: "timed_out" } });
      expect(world.operations("create").length).toBe(1);
    }, noStallLimit),
  );
});

test(
  "a sandbox's lifetime covers its job's limit, from the task or the options, and is at most a day",
  inWorld(
    async (world) => {
      const own = { description: "d", prompt: "hang", timeout_minutes: 30 };
      const ids = await world.start("hang", own, { ...own, environment: "short" }, { ...own, timeout_minutes: 1e5 });
      await world.clock.until("all run", () => world.machine.sandboxes().length === 4);
      const minutes = world.machine.sandboxes().map(({ spec }) => (spec.machine?.lifetimeMs ?? 0) / MIN);
      expect(minutes).toEqual([240 + 5 + 1 + 15, 30 + 5 + 1 + 15, 10, 1440]);
      await world.clock.advance(8 * MIN);
      expect(world.job(ids[2] ?? "").state).toMatchObject({ kind: "failed", failure: { code: "timed_out" } });
    },
    { environments: ENVIRONMENTS },
  ),
);

test(
  "a running job is snapshotted at every interval, keeps only the newest snapshot, and revives from it after a loss",
  inWorld(
    async (world) => {
      const [id = ""] = await world.start(`work ${100 * MIN} done`);
      await world.reaches(id, "running");
      await write(world, id);
      await world.clock.advance(65 * MIN);
      expect(world.operations("snapshot").length).toBe(2);
      expect(world.machine.snapshotIDs().length).toBe(1);
      expect(world.runtime.snapshots.list(ORCHESTRATOR).newest).toEqual([]);
      expect(world.job(id)).toMatchObject({ state: { kind: "running" }, sandbox: { kind: "live" } });
      world.machine.lose(world.machine.sandboxes()[0]?.id ?? "");
      await world.clock.until("it has another", () => world.operations("create").length === 2);
      await world.clock.advance(1_000);
      expect(await read(world, id)).toBe("kept");
    },
    { stallTimeoutMinutes: 1e4 },
  ),
);

test(
  "a sandbox that does not answer is shown within seconds",
  inWorld(async (world) => {
    const { passed, open } = gate();
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    const sandbox = world.runtime.lifecycle.live(id);
    world.machine.onRead = () => passed;
    const reading = sandbox?.readFile("kept", { offset: 0, maxBytes: 1 }).catch(() => {});
    await world.clock.advance(4_000);
    expect(reasonOf(world, id)).toBe("its sandbox has not answered for 4 s");
    open();
    await reading;
    expect(world.runtime.lifecycle.pendingSince(id)).toBeNull();
  }),
);
