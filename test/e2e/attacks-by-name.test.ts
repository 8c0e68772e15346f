import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hostCallsOf, otherCallsOf } from "../support/attack-calls.ts";
import {
  type AttackLab,
  allToolParts,
  breaches,
  delegate,
  JOB_TOOLS,
  jobRequests,
  startAttackLab,
  whyNoSandbox,
} from "../support/attack-host.ts";
import { must } from "../support/opencode.ts";
import { call, say, script } from "../support/scripted.ts";

const why = await whyNoSandbox();

describe.skipIf(why !== null)(`a job's model that calls what is not its own${why ? ` (skipped: ${why})` : ""}`, () => {
  let lab: AttackLab;
  beforeAll(async () => {
    lab = await startAttackLab();
  }, 240_000);
  afterAll(() => lab?.stop(), 240_000);
  beforeEach(() => lab.ran.clear());

  const hostCalls = () => hostCallsOf(lab);

  test("an ordinary session runs these calls on the host, so that their refusal means something", async () => {
    const { server } = lab;
    const session = await server.createSession();
    await server.prompt(session.id, script(...hostCalls(), say("done")), { agent: "build" });
    const parts = await allToolParts(lab, session.id);
    expect(parts.map(({ tool, state }) => `${tool} ${state.status}`)).toEqual(
      hostCalls().map((reply) => `${("toolCalls" in reply && reply.toolCalls?.[0]?.name) || ""} completed`),
    );
    expect(lab.ran.names()).toEqual(["bash", "edit", "hostly", "mcp_touch", "write"]);
    expect(JSON.stringify(parts)).toContain(lab.canaries.home);
    expect(JSON.stringify(parts)).toContain(lab.canaries.web);
    expect(lab.web.hits()).toBe(1);
    expect(must(await server.client.session.todo({ sessionID: session.id }))).toHaveLength(1);
    expect(await server.children(session.id)).toHaveLength(1);
  }, 240_000);

  for (const agent of ["sandbox_worker", "free", "build", "general"]) {
    test(`every host tool, project tool and MCP tool called by name by a job of agent ${agent} is refused`, async () => {
      const calls = [...hostCalls(), ...otherCallsOf(lab)];
      const before = { hits: lab.web.hits(), requests: jobRequests(lab).length };
      const { child, parts } = await delegate(lab, calls, { agent });
      expect(parts).toHaveLength(calls.length);
      expect(parts.filter(({ state }) => state.status !== "error").map(({ tool }) => tool)).toEqual([]);
      expect(lab.web.hits()).toBe(before.hits);
      expect(lab.ran.names()).toEqual([]);
      const requests = jobRequests(lab).slice(before.requests);
      expect(requests).toHaveLength(calls.length + 1);
      for (const { tools } of requests) expect([...tools].sort()).toEqual(JOB_TOOLS);
      expect(must(await lab.server.client.session.todo({ sessionID: child.id }))).toEqual([]);
      expect(await lab.server.children(child.id)).toEqual([]);
      expect(must(await lab.server.client.question.list())).toEqual([]);
      expect(must(await lab.server.client.permission.list())).toEqual([]);
    }, 240_000);
  }

  test("a skill is found by its name only, never by a path", async () => {
    const paths = [
      "../../canary",
      "/etc/passwd",
      join(lab.home.home, "canary.txt"),
      "known/../../../../canary.txt",
      "..",
    ];
    const { parts } = await delegate(lab, [{ toolCalls: [...["known", ...paths].map(toSkillCall)] }]);
    expect(parts.map(({ state }) => `${state.status}`)).toEqual(["completed", ...paths.map(() => "error")]);
    expect(readFileSync(join(lab.home.home, "canary.txt"), "utf8")).toContain(lab.canaries.home);
    expect(JSON.stringify(parts)).not.toContain(lab.canaries.home);
  }, 240_000);
  const toSkillCall = (name: string) => ({ name: "skill", arguments: { name } });

  test("its system text is ours alone: nothing of the host is in it", async () => {
    const before = jobRequests(lab).length;
    await delegate(lab, [call("sandbox_exec", { command: "pwd" })]);
    const systems = jobRequests(lab)
      .slice(before)
      .map(({ system }) => system);
    expect(systems).toHaveLength(2);
    for (const system of systems) {
      expect(system).toStartWith("You are an agent working alone on one delegated job.");
      for (const secret of ["<env>", lab.home.root, lab.home.project, process.cwd(), "opencode, an interactive"]) {
        expect(system).not.toContain(secret);
      }
    }
    // The orchestrator's own has them: they were to be found.
    const own = lab.model.requests.find(({ tools }) => tools.includes("agents_start"));
    expect(own?.system).toContain(lab.home.project);
    expect(own?.system).toContain("<env>");
  }, 240_000);

  test("no attack of this file reached a job's model with anything of the host", () => {
    expect(jobRequests(lab).length).toBeGreaterThan(100);
    expect(breaches(lab).filter((breach) => !breach.includes("server was asked"))).toEqual([]);
    expect(lab.model.errors).toEqual([]);
  });
});
