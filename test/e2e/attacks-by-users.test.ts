import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { expectStoppedByGuard, http, promptForHost } from "../support/attack-http.ts";
import {
  type AttackLab,
  allToolParts,
  breaches,
  delegate,
  startAttackLab,
  whyNoSandbox,
} from "../support/attack-lab.ts";
import { must } from "../support/opencode.ts";
import { call, say, script } from "../support/scripted.ts";

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
  let lab: AttackLab;
  beforeAll(async () => {
    lab = await startAttackLab();
  }, 240_000);
  afterAll(() => lab?.stop(), 240_000);
  beforeEach(() => lab.ran.clear());

  const insideCalls = () => Object.entries(INSIDE).map(([name, args]) => call(name, args));
  const notFound = async (sessionID: string) => {
    const parts = (await allToolParts(lab, sessionID)).filter(({ tool }) => tool in INSIDE);
    return parts.map(
      ({ tool, state }) => `${tool} ${state.status === "completed" ? state.output.slice(0, 16) : state.status}`,
    );
  };

  test("an ordinary session sees none of a job's tools, and calling them by name runs nothing", async () => {
    const session = await lab.server.createSession();
    await lab.server.prompt(session.id, script(...insideCalls(), say("done")), { agent: "build" });
    const tools = lab.model.requests.at(-1)?.tools ?? [];
    expect(tools).toContain("bash");
    for (const name of Object.keys(INSIDE)) expect(tools).not.toContain(name);
    const parts = await allToolParts(lab, session.id); // the host answers in their place
    expect(parts.map(({ tool }) => tool)).toEqual(Object.keys(INSIDE).map(() => "invalid"));
  }, 240_000);

  test("made visible, a job's tools answer not_found outside a job (wall 4 alone)", async () => {
    const session = await lab.server.createSession();
    const tools = Object.fromEntries(Object.keys(INSIDE).map((name) => [name, true]));
    const parts = [{ type: "text", text: script(...insideCalls(), say("done")) }];
    await http(lab, "POST", `/session/${session.id}/message`, { agent: "build", parts, tools });
    for (const name of Object.keys(INSIDE)) expect(lab.model.requests.at(-1)?.tools).toContain(name);
    expect(await notFound(session.id)).toEqual(Object.keys(INSIDE).map((name) => `${name} Error not_found:`));
  }, 240_000);

  test("an agent of the user that may do anything sees them, and they answer not_found", async () => {
    const session = await lab.server.createSession();
    await lab.server.prompt(session.id, script(...insideCalls(), say("done")), { agent: "free" });
    expect(await notFound(session.id)).toEqual(Object.keys(INSIDE).map((name) => `${name} Error not_found:`));
  }, 240_000);

  test("the worker is no subagent of task, and where an agent may do anything it has only tools that do nothing", async () => {
    const { server } = lab;
    const work = script(
      ...insideCalls(),
      call("bash", { command: `touch ${lab.ran.path("bash")}`, description: "x" }),
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
    expect(lab.ran.names()).toEqual([]);
  }, 240_000);

  test("the worker's rules are not the user's to change (wall 1 alone)", async () => {
    const worker = must(await lab.server.client.app.agents()).find(({ name }) => name === "sandbox_worker");
    const last = (permission: string) =>
      worker?.permission.findLast((rule) => rule.permission === permission || rule.permission === "*");
    for (const name of ["bash", "read", "edit", "task", "webfetch", "host_touch"])
      expect(last(name)?.action).toBe("deny");
    // Without a session of a job: the agent's rules alone, under a configuration that allows everything.
    const session = await lab.server.createSession();
    expect(await promptForHost(lab, session.id, { agent: "sandbox_worker" })).toMatchObject({ status: 200 });
    expect(lab.model.requests.at(-1)?.tools).not.toContain("bash");
    expect(lab.ran.names()).toEqual([]);
  }, 240_000);

  test("each wall holds with the others down: rules taken from agent and session, the guard stays", async () => {
    const { child } = await delegate(lab, [call("sandbox_exec", { command: "true" })], { agent: "free" });
    const tools = { bash: true, host_touch: true, hostly: true };
    expect(await promptForHost(lab, child.id, { agent: "free", tools })).toMatchObject({ status: 200 });
    await expectStoppedByGuard(lab, child.id);
    expect(breaches(lab)).toEqual([]);
  }, 240_000);
});
