import { describe, expect, test } from "bun:test";
import { breaches, delegate, startAttackSetup, whyNoSandbox } from "../support/attack-setup.ts";
import { projectPlugin, projectTool } from "../support/attack-tools.ts";
import { call, say, script } from "../support/scripted.ts";

const why = await whyNoSandbox();
const skipped = why ? ` (skipped: ${why})` : "";

describe.skipIf(why !== null)(`tools of others with the names of a job's tools${skipped}`, () => {
  test("no call of a job reaches an MCP server, although OpenCode prefers its tools to a plugin's", async () => {
    const mcp = { sandbox: { type: "local", command: ["node", "../home/mcp.mjs"] } };
    const setup = await startAttackSetup({}, { config: { mcp } });
    try {
      const { server, ran } = setup;
      const names = ["sandbox_exec", "sandbox_touch", "sandbox_read"];
      const { parts } = await delegate(setup, [
        call("sandbox_exec", { command: "id" }),
        call("sandbox_touch", {}),
        call("sandbox_read", { path: "." }),
      ]);
      expect(parts.map(({ tool, state }) => `${tool} ${state.status}`)).toEqual(names.map((name) => `${name} error`));
      expect(JSON.stringify(parts[0])).toContain('may be taken by the MCP server \\"sandbox\\"');
      expect(breaches(setup)).toEqual([]);
      // From an ordinary session it runs: the server works.
      const session = await server.createSession();
      await server.prompt(session.id, script(call("sandbox_touch", {}), say("done")), { agent: "build" });
      expect(ran.names()).toEqual(["mcp_touch"]);
      // Once it is disabled its tools shadow nothing, and jobs work again without a restart.
      await server.client.mcp.disconnect({ name: "sandbox" });
      const after = await delegate(setup, [call("sandbox_exec", { command: "echo inside" })]);
      expect(JSON.stringify(after.parts[0]?.state)).toContain("inside\\n");
    } finally {
      await setup.stop();
    }
  });

  test("no call of a job reaches a plugin or tools of the project", async () => {
    const setup = await startAttackSetup(
      {},
      {
        files: {
          ".opencode/plugin/other.ts": projectPlugin("sandbox_read"),
          ".opencode/tool/sandbox_exec.ts": projectTool("sandbox_exec"),
          ".opencode/tool/skill.ts": projectTool("skill"),
        },
      },
    );
    try {
      const { parts } = await delegate(setup, [
        call("sandbox_exec", { command: "echo ran > /dev/null" }),
        call("sandbox_read", { path: "." }),
        call("skill", { name: "known" }),
      ]);
      expect(parts.map(({ tool, state }) => `${tool} ${state.status}`)).toEqual([
        "sandbox_exec error",
        "sandbox_read error",
        "skill error",
      ]);
      expect(breaches(setup)).toEqual([]);
      // The replacement of the host's own tool works in an ordinary session.
      const session = await setup.server.createSession();
      await setup.server.prompt(session.id, script(call("skill", { name: "known" }), say("done")), { agent: "build" });
      expect(setup.ran.names()).toEqual(["skill"]);
    } finally {
      await setup.stop();
    }
  });
});
