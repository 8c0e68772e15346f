import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ALLOW_ALL, expectStoppedByGuard, http, promptForHost } from "../support/attack-http.ts";
import {
  type AttackSetup,
  allToolParts,
  breaches,
  delegate,
  startAttackSetup,
  whyNoSandbox,
} from "../support/attack-setup.ts";
import { must } from "../support/opencode.ts";
import { atOnce, call, say, script } from "../support/scripted.ts";
import { metadataOf, startSetupIn, type TestSetup } from "../support/test-setup.ts";
import { ask, start, task, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

const why = await whyNoSandbox();
const INSIDE = {
  sandbox_exec: { command: "true" },
  sandbox_process: { process: "1" },
  sandbox_read: { path: "." },
  sandbox_write: { path: "x", content: "x" },
  sandbox_edit: { path: "x", old_string: "a", new_string: "b" },
  job_report: { status: "x" },
};

describe.skipIf(why !== null)(`a configuration that would open the walls${why ? ` (skipped: ${why})` : ""}`, () => {
  let setup: AttackSetup;
  beforeAll(async () => {
    setup = await startAttackSetup();
  });
  afterAll(() => setup?.stop());
  beforeEach(() => setup.ran.clear());

  const insideCalls = () => Object.entries(INSIDE).map(([name, args]) => call(name, args));
  const notFound = async (sessionID: string) => {
    const parts = (await allToolParts(setup, sessionID)).filter(({ tool }) => tool in INSIDE);
    return parts.map(
      ({ tool, state }) => `${tool} ${state.status === "completed" ? state.output.slice(0, 16) : state.status}`,
    );
  };

  test("hides a job's tools from an ordinary session, and runs nothing when they are called by name", async () => {
    const session = await setup.server.createSession();
    await setup.server.prompt(session.id, script(atOnce(...insideCalls()), say("done")), { agent: "build" });
    const tools = setup.model.requests.at(-1)?.tools ?? [];
    expect(tools).toContain("bash");
    for (const name of Object.keys(INSIDE)) expect(tools).not.toContain(name);
    const parts = await allToolParts(setup, session.id); // the host answers in their place
    expect(parts.map(({ tool }) => tool)).toEqual(Object.keys(INSIDE).map(() => "invalid"));
  });

  test("answers not_found outside a job when its tools are visible (layer 4 alone)", async () => {
    const session = await setup.server.createSession();
    const tools = Object.fromEntries(Object.keys(INSIDE).map((name) => [name, true]));
    const parts = [{ type: "text", text: script(atOnce(...insideCalls()), say("done")) }];
    await http(setup, "POST", `/session/${session.id}/message`, { agent: "build", parts, tools });
    for (const name of Object.keys(INSIDE)) expect(setup.model.requests.at(-1)?.tools).toContain(name);
    expect(await notFound(session.id)).toEqual(Object.keys(INSIDE).map((name) => `${name} Error not_found:`));
  });

  test("answers not_found to an agent of the user that may do anything and sees the tools", async () => {
    const session = await setup.server.createSession();
    await setup.server.prompt(session.id, script(atOnce(...insideCalls()), say("done")), { agent: "free" });
    expect(await notFound(session.id)).toEqual(Object.keys(INSIDE).map((name) => `${name} Error not_found:`));
  });

  test("is no subagent of task, and has only tools that do nothing where an agent may do anything", async () => {
    const { server } = setup;
    const work = script(
      atOnce(...insideCalls()),
      call("bash", { command: `touch ${setup.ran.path("bash")}`, description: "x" }),
      say("x"),
    );
    const task = call("task", { description: "d", prompt: work, subagent_type: "sandbox_worker" });
    const session = await server.createSession();
    await server.prompt(session.id, script(task, say("done")), { agent: "build" });
    expect((await server.toolParts(session.id, "task")).map(({ state }) => `${state.status}`)).toEqual(["error"]);
    expect(await server.children(session.id)).toEqual([]);

    await server.prompt(session.id, script(task, say("done")), { agent: "free" });
    const [child] = await server.children(session.id);
    expect(await notFound(child?.id as string)).toEqual(Object.keys(INSIDE).map((name) => `${name} Error not_found:`));
    expect((await server.toolParts(child?.id as string, "bash")).map(({ state }) => `${state.status}`)).toEqual([
      "error",
    ]);
    expect(setup.ran.names()).toEqual([]);
  });

  test("keeps the worker's rules whatever the user configures (layer 1 alone)", async () => {
    const worker = must(await setup.server.client.app.agents()).find(({ name }) => name === "sandbox_worker");
    const last = (permission: string) =>
      worker?.permission.findLast((rule) => rule.permission === permission || rule.permission === "*");
    for (const name of ["bash", "read", "edit", "task", "webfetch", "host_touch"])
      expect(last(name)?.action).toBe("deny");
    // Without a session of a job: the agent's rules alone, under a configuration that allows everything.
    const session = await setup.server.createSession();
    expect(await promptForHost(setup, session.id, { agent: "sandbox_worker" })).toMatchObject({ status: 200 });
    expect(setup.model.requests.at(-1)?.tools).not.toContain("bash");
    expect(setup.ran.names()).toEqual([]);
  });

  test("keeps the guard when the rules of agent and session are removed", async () => {
    const { child } = await delegate(setup, [call("sandbox_exec", { command: "true" })], { agent: "free" });
    const tools = { bash: true, host_touch: true, hostly: true };
    expect(await promptForHost(setup, child.id, { agent: "free", tools })).toMatchObject({ status: 200 });
    await expectStoppedByGuard(setup, child.id);
    expect(breaches(setup)).toEqual([]);
  });

  describe("the user's rules apply", () => {
    const RULES = {
      permission: { agents_start: "ask", agents_cancel: { "*": "deny" } },
      agent: {
        careful: { mode: "all", prompt: "You are careful.", permission: { "*": "ask" } },
        reviewer: {
          mode: "all",
          prompt: "You review.",
          permission: { edit: "deny", bash: { "*": "deny", "ls *": "allow" } },
        },
        planner: { mode: "all", prompt: "You plan.", permission: { edit: { "*": "deny", "plans/*": "allow" } } },
        looper: { mode: "all", prompt: "You repeat.", permission: { doom_loop: "ask" } },
        lead: { mode: "all", prompt: "You delegate.", permission: { "*": "deny", "agents_*": "allow" } },
      },
    };
    let ruled: TestSetup;
    beforeAll(async () => {
      ruled = await startSetupIn(setup, {}, { ".opencode/opencode.json": JSON.stringify(RULES) });
    });
    afterAll(() => ruled?.stop());

    const questions = async () => must(await ruled.server.client.permission.list());
    /** The question that the session's turn stands at. */
    const question = async (sessionID: string) =>
      until(async () => (await questions()).find((one) => one.sessionID === sessionID), { what: "it asks" });
    const reply = async (requestID: string, answer: "once" | "always" | "reject") =>
      must(await ruled.server.client.permission.reply({ requestID, reply: answer }));
    const states = async (sessionID: string, tool: string) =>
      (await ruled.server.toolParts(sessionID, tool)).map(({ state }) =>
        state.status === "error" ? state.error : state.status,
      );
    const begin = (description: string) => start({ ...task(description, say("ok")), agent: "free" });

    test("asks for a tool once, for a rejection and for good, and shows in the conversation what is asked", async () => {
      const { server } = ruled;
      const session = await server.createSession();
      const wish = async (description: string) => {
        await server.promptAsync(session.id, script(begin(description), say("started")), { agent: "build" });
        return question(session.id);
      };
      const first = await wish("first *job*");
      expect(first).toMatchObject({ permission: "agents_start", patterns: ["free"], always: ["*"] });
      const shown = await until(
        async () =>
          (await server.messages(session.id))
            .flatMap(({ parts }) => parts)
            .find((part) => part.type === "text" && part.text.startsWith("Wants to start")),
        { what: "the wish is shown" },
      );
      expect(shown).toMatchObject({ text: "Wants to start 1 job:\n- **first \\*job\\*** · free", ignored: true });
      await reply(first.id, "once");
      await server.whenIdle(session.id);

      const second = await wish("second");
      await reply(second.id, "reject");
      await server.whenIdle(session.id);
      await wish("stopped");
      must(await server.client.session.abort({ sessionID: session.id }));
      await server.whenIdle(session.id);
      await until(
        async () => {
          const parts = (await server.messages(session.id)).flatMap(({ parts: all }) => all);
          return !parts.some((part) => part.type === "text" && part.text.startsWith("Wants to start"));
        },
        { what: "the wish is taken away" },
      );
      await reply((await wish("third")).id, "always");
      await server.whenIdle(session.id);
      await server.prompt(session.id, script(begin("fourth"), say("started")), { agent: "build" });
      const rejected = "The user rejected permission to use this specific tool call.";
      expect(await states(session.id, "agents_start")).toEqual([
        "completed",
        rejected,
        expect.any(String),
        "completed",
        "completed",
      ]);
      const { metadata } = await ask(ruled.server, session.id, call("agents_wait", {}));
      expect(metadata.finished.map(({ description }) => description)).toEqual(["first *job*", "third", "fourth"]);
      expect(await questions()).toEqual([]);
    });

    test("reports a denial by pattern as the host's error, and asks for each tool where everything is to be asked", async () => {
      const { server } = ruled;
      const session = await server.createSession();
      await server.prompt(session.id, script(call("agents_cancel", { jobs: ["job_1"] }), say("x")), { agent: "build" });
      const [tool] = (await server.messages(session.id)).flatMap(({ parts }) =>
        parts.filter(({ type }) => type === "tool"),
      );
      expect(tool).toMatchObject({ tool: "invalid" }); // denied to all: the model is not even shown it
      for (const [name, args, patterns] of [
        ["agents_status", {}, ["*"]],
        ["agents_wait", { jobs: ["job_a"] }, ["job_a"]],
        ["agents_message", { job: "job_b", message: "hi" }, ["job_b"]],
        ["agents_collect", { job: "job_c" }, ["job_c"]],
        ["experiments_list", { metric: "loss" }, ["loss"]],
        ["sandbox_snapshot", { job: "job_d" }, ["job_d"]],
      ] as const) {
        const other = await server.createSession();
        await server.promptAsync(other.id, script(call(name, args), say("x")), { agent: "careful" });
        const asked = await question(other.id);
        expect(asked).toMatchObject({ permission: name, patterns: [...patterns] });
        await reply(asked.id, "reject");
        await server.whenIdle(other.id);
        expect(await states(other.id, name)).toEqual([expect.stringContaining("The user rejected permission")]);
      }
    });

    test("answers a question that the host raises in a job, where no user can", async () => {
      const { server } = ruled;
      const session = await server.createSession();
      const same = { name: "sandbox_read", arguments: { path: "." } };
      const again = { toolCalls: [same, same, same, same] };
      const loops = { ...task("loops", again, say("went on")), agent: "looper" };
      await server.promptAsync(session.id, script(start(loops), wait(), say("x")), { agent: "free" });
      await until(async () => (await states(session.id, "agents_wait")).includes("completed"), {
        what: "the job has ended",
        timeoutMs: 20_000,
      });
      const [job] = (await metadataOf(server, session.id, "agents_wait")).finished ?? [];
      expect(job).toMatchObject({ state: "completed", result: "went on" });
      expect(await questions()).toEqual([]);
      await server.whenIdle(session.id);
    });

    test("forbids an agent's jobs what is forbidden to the agent, and says so; also jobs of an agent that may not edit", async () => {
      const { server, model } = ruled;
      const toolsOf = (words: string) =>
        model.requests
          .findLast(({ firstUser, tools }) => firstUser.includes(words) && tools.includes("job_report"))
          ?.tools.sort();
      const run = async (agent: string, description: string, more: object) => {
        const session = await server.createSession();
        const calls = [call("sandbox_exec", { command: "true" }), call("sandbox_write", { path: "x", content: "x" })];
        const prompt = `${description} ${task("", ...calls, say("ok")).prompt}`;
        await server.promptAsync(session.id, script(start({ description, prompt, ...more }), wait(), say("x")), {
          agent,
        });
        await until(
          async () => {
            for (const one of await questions()) if (one.sessionID === session.id) await reply(one.id, "once");
            return (await states(session.id, "agents_wait")).includes("completed");
          },
          { what: "the job has ended" },
        );
        await server.whenIdle(session.id);
        const [job] = (await metadataOf(server, session.id, "agents_wait")).finished ?? [];
        return job;
      };
      const READS = ["agents_status", "agents_wait", "job_report", "sandbox_read", "sandbox_snapshot", "skill"];
      const reviewed = await run("build", "reviewed words", { agent: "reviewer" });
      expect(toolsOf("reviewed words")).toEqual(READS);
      expect(reviewed?.notes.filter((note) => !note.includes("not limited"))).toEqual([
        expect.stringContaining("It has no sandbox_exec, sandbox_process, sandbox_write, sandbox_edit"),
      ]);
      expect((await allToolParts(ruled, reviewed?.sessionID as string)).map(({ state }) => state.status)).toEqual([
        "error",
        "error",
      ]);
      // Whoever rewrites the session's rules frees nothing.
      const freed = await http(ruled, "PATCH", `/session/${reviewed?.sessionID}`, { permission: ALLOW_ALL });
      expect(freed.status).toBe(200);
      const again = script(call("sandbox_exec", { command: "true" }), say("x"));
      await server.prompt(reviewed?.sessionID as string, again, { agent: "free" });
      expect((await ruled.server.toolParts(reviewed?.sessionID as string, "sandbox_exec")).at(-1)?.state).toMatchObject(
        {
          output: "Error not_found: This job has no sandbox_exec: the user's permissions forbid it.",
        },
      );

      await run("planner", "planned words", {});
      const COMMANDS = ["sandbox_exec", "sandbox_process"];
      expect(toolsOf("planned words")).toEqual([...READS, ...COMMANDS].sort());
      await run("lead", "led words", {});
      expect(toolsOf("led words")).toEqual([...READS, ...COMMANDS, "sandbox_edit", "sandbox_write"].sort());
    });
  });
});
