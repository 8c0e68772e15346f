import { describe, expect, test } from "bun:test";
import type { Config } from "@opencode-ai/plugin";
import { extendConfig, isJobTool, jobSessionRules } from "../../../../src/hosts/opencode-1/worker-agent.ts";

type Rules = Record<string, unknown>;
interface Extended {
  agent: Record<string, Rules>;
  permission: Rules;
  skills: Rules & { paths: string[] };
}
const extend = (config: object): Extended => {
  extendConfig(config as Config, "/package/skills");
  return config as Extended;
};
const INSIDE = ["sandbox_exec", "sandbox_process", "sandbox_read", "sandbox_write", "sandbox_edit", "job_report"];
/** As the host decides: the last rule that matches the tool. */
const decide = (rules: Rules, tool: string) =>
  Object.entries(rules).findLast(([name]) => name === "*" || name === tool || (name.endsWith("*") && tool.startsWith(name.slice(0, -1))))?.[1]; // biome-ignore format: one line

describe("the configuration", () => {
  test("of a user who set nothing gets the worker, our skills and the rules that isolate jobs", () => {
    const { agent, permission, skills } = extend({});
    expect(agent.sandbox_worker).toMatchObject({ mode: "subagent", hidden: true });
    expect(skills.paths).toEqual(["/package/skills"]);
    expect(permission).toEqual({
      ...Object.fromEntries(INSIDE.map((tool) => [tool, "deny"])),
      task: { sandbox_worker: "deny" },
    });
  });

  test("keeps the user's agents, skills, rules and their order", () => {
    const given = {
      agent: { mine: { prompt: "p" } },
      skills: { paths: ["/mine"], urls: ["u"] },
      permission: { "*": "ask", bash: "deny" },
    };
    const { agent, permission, skills } = extend(structuredClone(given));
    expect(agent.mine).toEqual({ prompt: "p" });
    expect(skills).toEqual({ paths: ["/mine", "/package/skills"], urls: ["u"] });
    expect(Object.keys(permission).slice(0, 2)).toEqual(["*", "bash"]);
    expect(permission).toMatchObject(given.permission);
  });

  test("with one permission for everything still hides tools that work only inside a job", () => {
    const { permission } = extend({ permission: "allow" });
    expect(decide(permission, "bash")).toBe("allow");
    for (const tool of INSIDE) expect(decide(permission, tool)).toBe("deny");
  });

  test("hides such a tool even if the user named it before a wildcard", () => {
    const { permission } = extend({ permission: { sandbox_exec: "allow", "*": "allow" } });
    expect(decide(permission, "sandbox_exec")).toBe("deny");
  });

  test("leaves the orchestrator's tools alone", () => {
    const { permission } = extend({ permission: "allow" });
    for (const tool of ["agents_start", "agents_wait", "sandbox_snapshot"])
      expect(decide(permission, tool)).toBe("allow");
  });

  test("hides the worker from task, after the user's own rules for it", () => {
    expect(extend({ permission: { task: "allow" } }).permission.task).toEqual({ "*": "allow", sandbox_worker: "deny" });
    const rules = { task: { "*": "deny", explore: "allow" } };
    expect(Object.entries(extend({ permission: rules }).permission.task as Rules).at(-1)).toEqual([
      "sandbox_worker",
      "deny",
    ]);
  });

  test("lets a user choose the worker's model and temperature, but not its rules", () => {
    const mine = {
      model: "acme/small",
      temperature: 0,
      description: "mine",
      permission: { bash: "allow" },
      mode: "primary",
      hidden: false,
    };
    const worker = extend({ agent: { sandbox_worker: mine } }).agent.sandbox_worker as Rules;
    expect(worker).toMatchObject({
      model: "acme/small",
      temperature: 0,
      description: "mine",
      mode: "subagent",
      hidden: true,
    });
    expect(worker.permission).not.toHaveProperty("bash");
  });
});

describe("a worker's rules", () => {
  const agent = extend({}).agent.sandbox_worker?.permission as Rules;
  const session = Object.fromEntries(jobSessionRules([]).map(({ permission, action }) => [permission, action]));
  const JOB = [...INSIDE, "sandbox_snapshot", "skill", "agents_start", "agents_wait", "agents_status"];
  const HOST = [
    "bash",
    "read",
    "edit",
    "write",
    "task",
    "webfetch",
    "agents_message",
    "agents_cancel",
    "agents_collect",
    "experiments_score",
    "mcp_tool",
    "question",
  ];

  for (const [what, rules] of Object.entries({ agent, session })) {
    test(`deny everything of the ${what} but its sandbox`, () => {
      for (const tool of JOB) expect([tool, decide(rules, tool)]).toEqual([tool, "allow"]);
      for (const tool of HOST) expect([tool, decide(rules, tool)]).toEqual([tool, "deny"]);
    });
  }

  test("allow the same tools as the guard, which compares whole names", () => {
    for (const tool of [...JOB, "invalid"]) expect([tool, isJobTool(tool)]).toEqual([tool, true]);
    for (const tool of [...HOST, "sandbox_exec2", "xsandbox_exec", "sandbox_", "Skill"])
      expect([tool, isJobTool(tool)]).toEqual([tool, false]);
  });
});
