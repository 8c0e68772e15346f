import { describe, expect, test } from "bun:test";
import { ERROR_CODES, PluginError } from "../../../../src/shared/error-code.ts";
import { inWorld, leaseCount } from "../runtime-world.ts";

test(
  "each job runs in a sandbox and a session of its own and returns its own result",
  inWorld(async (world) => {
    const ids = await world.start("say one", "work 4000 two", "cut three");
    for (const id of ids) await world.reaches(id, "completed");
    const results = ids.map((id) => world.job(id).state);
    expect(results).toMatchObject([
      { result: "one" },
      { result: "two" },
      { result: expect.stringContaining("cut off") },
    ]);
    expect(new Set(ids.map((id) => world.job(id).childSession)).size).toBe(3);
    expect(world.operations("create")).toEqual(ids.map((id) => `create ${id}`));
    expect(ids.map((id) => world.job(id))).toMatchObject(
      ids.map(() => ({ turns: 1, tokens: { input: 10, output: 5, cached: 20, reasoning: 1 } })),
    );
    expect(leaseCount(world.runtime)).toBe(0);
  }),
);

test(
  "prompts a task with its agent and model, and only after the turn is recorded",
  inWorld(async (world) => {
    const [id = ""] = await world.start({ description: "d", prompt: "say ok", agent: "reviewer" });
    expect(world.job(id).state.kind).toBe("queued");
    expect(world.machine.operations).toEqual([]);
    await world.reaches(id, "completed");
    expect(world.sessions.prompts).toMatchObject([{ agent: "reviewer", model: "acme/small", text: "say ok" }]);
    expect(world.sessions.created).toMatchObject([{ jobID: id, title: "d (@reviewer subagent)", agent: "reviewer" }]);
    const [turn] = await world.turns(id);
    expect(turn).toMatchObject({ state: "done", messageID: world.sessions.prompts[0]?.messageID });
  }),
);

describe("a job fails alone, with its code, and its lease is freed", () => {
  const codes = ERROR_CODES.filter((code) =>
    /^(sandbox_create|no_capacity|isolation|snapshot_expired|not_found)/.test(code),
  );
  for (const code of codes) {
    test(
      `when its sandbox cannot be created: ${code}`,
      inWorld(async (world) => {
        world.machine.onCreate = ({ name }) => {
          if (name === first) throw new PluginError(code, "no sandbox today", { retryable: false });
        };
        const [first = "", second = ""] = await world.start("say 1", "say 2");
        expect((await world.reaches(first, "failed")).state).toMatchObject({
          failure: { code, message: "no sandbox today" },
        });
        expect((await world.reaches(second, "completed")).sandbox.kind).toBe("live");
        expect(world.job(first).sandbox.kind).toBe("none");
        expect(world.sessions.running()).toEqual([]);
        expect(leaseCount(world.runtime)).toBe(0);
      }),
    );
  }

  const failing: [what: string, prompt: string, code: string][] = [
    ["its prompt is rejected", "refuse", "prompt_failed"],
    ["its model fails", "fail APIError", "model_error"],
    ["its agent is unknown", "unknown agent", "prompt_failed"],
    ["its turn never starts", "never", "prompt_failed"],
  ];
  for (const [what, prompt, code] of failing) {
    test(
      `when ${what}`,
      inWorld(async (world) => {
        const [first = "", second = ""] = await world.start(prompt, "work 20000 fine");
        expect((await world.reaches(first, "failed")).state).toMatchObject({ failure: { code } });
        expect((await world.reaches(second, "completed")).state).toMatchObject({ result: "fine" });
        expect((await world.turns(first)).map(({ state }) => state)).toEqual(["failed"]);
        expect(leaseCount(world.runtime)).toBe(0);
      }),
    );
  }

  test(
    "when its session cannot be created: its sandbox is parked like any other",
    inWorld(async (world) => {
      let creations = 0;
      world.sessions.onCall = (name) => {
        if (name === "create" && ++creations === 2) throw new PluginError("session_create_failed", "no");
      };
      const ids = await world.start("say 1", "say 2");
      for (const id of ids) await world.reaches(id, "completed", "failed");
      const failed = ids.map((id) => world.job(id).state).filter(({ kind }) => kind === "failed");
      expect(failed).toMatchObject([{ failure: { code: "session_create_failed" } }]);
      await world.clock.advance(60_000);
      expect(world.machine.sandboxes()).toEqual([]);
    }),
  );

  test(
    "when its sandbox is lost during a turn: its model is stopped",
    inWorld(async (world) => {
      const [first = "", second = ""] = await world.start("hang", "work 9000 fine");
      const { sandbox, childSession } = await world.reaches(first, "running");
      if (sandbox.kind !== "live") throw new Error(sandbox.kind);
      world.machine.lose(sandbox.id, "the kernel killed it");
      const failed = await world.reaches(first, "failed");
      expect(failed).toMatchObject({
        sandbox: { kind: "gone" },
        state: { failure: { code: "sandbox_lost", message: expect.stringContaining("the kernel killed it. ") } },
      });
      expect(world.sessions.aborted).toEqual([childSession ?? ""]);
      expect((await world.reaches(second, "completed")).state).toMatchObject({ result: "fine" });
    }),
  );
});

test(
  "a task that cannot start becomes a failed job with an id, a code and a reason, and creates nothing",
  inWorld(
    async (world) => {
      const bad = { description: "bad", problem: "task 2: prompt: expected string" };
      const ids = await world.start("say 1", bad, { description: "d", prompt: "say 3", agent: "nobody" }, "say 4");
      const code = "invalid_task";
      expect(ids.slice(1).map((id) => world.job(id).state)).toMatchObject([
        { kind: "failed", failure: { code, message: bad.problem } },
        { kind: "failed", failure: { code, message: expect.stringContaining('agent "nobody"') } },
        { kind: "failed", failure: { code, message: expect.stringContaining("at most 3 tasks") } },
      ]);
      await world.reaches(ids[0] ?? "", "completed");
      expect(world.operations("create").length).toBe(1);
    },
    { maxTasksPerCall: 3 },
  ),
);

test(
  "tries a creation that may succeed three times within five seconds",
  inWorld(async (world) => {
    let left = 2;
    world.machine.onCreate = () => {
      if (left-- > 0) throw new PluginError("sandbox_create_failed", "busy", { retryable: true });
    };
    const [id = ""] = await world.start("say 1");
    const { startedAt } = await world.reaches(id, "completed");
    expect(world.operations("create").length).toBe(3);
    expect(world.clock.now() - (startedAt ?? 0)).toBeGreaterThanOrEqual(5_000);
    left = 3;
    const [next = ""] = await world.start("say 2");
    expect((await world.reaches(next, "failed")).state).toMatchObject({ failure: { code: "sandbox_create_failed" } });
  }),
);

test(
  "terminates a sandbox whose skills cannot be installed",
  inWorld(
    async (world) => {
      const [id = ""] = await world.start({ description: "d", prompt: "say 1", skills: ["golf"] });
      expect((await world.reaches(id, "failed")).state).toMatchObject({
        failure: { code: "sandbox_create_failed", message: expect.stringContaining("disk full") },
      });
      expect([world.machine.sandboxes(), world.job(id).sandbox.kind]).toEqual([[], "none"]);
    },
    {},
    {
      catalog: async () => {
        throw new Error("disk full");
      },
    },
  ),
);

test(
  "the next job asks again for a provider that was not available",
  inWorld(
    async (world) => {
      const [first = ""] = await world.start("say 1");
      expect((await world.reaches(first, "failed")).state).toMatchObject({
        failure: { code: "isolation_unavailable" },
      });
      const [second = ""] = await world.start("say 2");
      await world.reaches(second, "failed");
      expect(providerRequests).toBe(2);
    },
    {},
    {
      createProvider: async () => {
        providerRequests++;
        throw new PluginError("isolation_unavailable", "no bubblewrap", { retryable: false });
      },
    },
  ),
);
let providerRequests = 0;
