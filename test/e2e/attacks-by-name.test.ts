import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hostCallsOf, otherCallsOf } from "../support/attack-calls.ts";
import {
  type AttackSetup,
  allToolParts,
  breaches,
  delegate,
  JOB_TOOLS,
  jobRequests,
  startAttackSetup,
  whyNoSandbox,
} from "../support/attack-setup.ts";
import { must } from "../support/opencode.ts";
import { atOnce, call, say, script } from "../support/scripted.ts";

const why = await whyNoSandbox();

describe.skipIf(why !== null)(`a job's model that calls what is not its own${why ? ` (skipped: ${why})` : ""}`, () => {
  let setup: AttackSetup;
  beforeAll(async () => {
    setup = await startAttackSetup();
  });
  afterAll(() => setup?.stop());
  beforeEach(() => setup.ran.clear());

  const hostCalls = () => hostCallsOf(setup);

  test("control: an ordinary session runs these calls on the host", async () => {
    const { server } = setup;
    const session = await server.createSession();
    await server.prompt(session.id, script(atOnce(...hostCalls()), say("done")), { agent: "build" });
    const parts = await allToolParts(setup, session.id);
    expect(parts.map(({ tool, state }) => `${tool} ${state.status}`)).toEqual(
      hostCalls().map((reply) => `${("toolCalls" in reply && reply.toolCalls?.[0]?.name) || ""} completed`),
    );
    expect(setup.ran.names()).toEqual(["bash", "edit", "hostly", "mcp_touch", "write"]);
    expect(JSON.stringify(parts)).toContain(setup.canaries.home);
    expect(JSON.stringify(parts)).toContain(setup.canaries.web);
    expect(setup.web.hits()).toBe(1);
    expect(must(await server.client.session.todo({ sessionID: session.id }))).toHaveLength(1);
    expect(await server.children(session.id)).toHaveLength(1);
  });

  for (const agent of ["sandbox_worker", "free", "build", "general"]) {
    test(`every host tool, project tool and MCP tool called by name by a job of agent ${agent} is refused`, async () => {
      const calls = [...hostCalls(), ...otherCallsOf(setup)];
      const before = { hits: setup.web.hits(), requests: jobRequests(setup).length };
      const { child, parts } = await delegate(setup, [atOnce(...calls)], { agent });
      expect(parts).toHaveLength(calls.length);
      expect(parts.filter(({ state }) => state.status !== "error").map(({ tool }) => tool)).toEqual([]);
      expect(setup.web.hits()).toBe(before.hits);
      expect(setup.ran.names()).toEqual([]);
      const requests = jobRequests(setup).slice(before.requests);
      expect(requests).toHaveLength(2);
      for (const { tools } of requests) expect([...tools].sort()).toEqual(JOB_TOOLS);
      expect(must(await setup.server.client.session.todo({ sessionID: child.id }))).toEqual([]);
      expect(await setup.server.children(child.id)).toEqual([]);
      expect(must(await setup.server.client.question.list())).toEqual([]);
      expect(must(await setup.server.client.permission.list())).toEqual([]);
    });
  }

  test("finds a skill only by its name, never by a path", async () => {
    const paths = [
      "../../canary",
      "/etc/passwd",
      join(setup.home.home, "canary.txt"),
      "known/../../../../canary.txt",
      "..",
    ];
    const { parts } = await delegate(setup, [{ toolCalls: [...["known", ...paths].map(toSkillCall)] }]);
    expect(parts.map(({ state }) => `${state.status}`)).toEqual(["completed", ...paths.map(() => "error")]);
    expect(readFileSync(join(setup.home.home, "canary.txt"), "utf8")).toContain(setup.canaries.home);
    expect(JSON.stringify(parts)).not.toContain(setup.canaries.home);
  });
  const toSkillCall = (name: string) => ({ name: "skill", arguments: { name } });

  test("keeps everything of the host out of a job's system text", async () => {
    const before = jobRequests(setup).length;
    await delegate(setup, [call("sandbox_exec", { command: "pwd" })]);
    const systems = jobRequests(setup)
      .slice(before)
      .map(({ system }) => system);
    expect(systems).toHaveLength(2);
    for (const system of systems) {
      expect(system).toStartWith("You are an agent working alone on one delegated job.");
      for (const secret of ["<env>", setup.home.root, setup.home.project, process.cwd(), "opencode, an interactive"]) {
        expect(system).not.toContain(secret);
      }
    }
    // The orchestrator's own has them: they were to be found.
    const own = setup.model.requests.find(({ tools }) => tools.includes("agents_cancel"));
    expect(own?.system).toContain(setup.home.project);
    expect(own?.system).toContain("<env>");
  });

  test("no attack in this file showed a job's model anything of the host", () => {
    expect(jobRequests(setup).length).toBeGreaterThan(10);
    expect(breaches(setup).filter((breach) => !breach.includes("server was asked"))).toEqual([]);
    expect(setup.model.errors).toEqual([]);
  });
});
