import { expect } from "bun:test";
import { must } from "../support/opencode.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { say } from "../support/scripted.ts";
import { start, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";

const RULES = {
  permission: { external_directory: "ask" },
  agent: {
    asker: { mode: "all", prompt: "You ask.", permission: { "*": "ask", doom_loop: "ask" } },
    loner: { mode: "subagent", prompt: "You repeat.", permission: { doom_loop: "ask", bash: "ask" } },
  },
};
const setup = useProject({}, { files: { ".opencode/opencode.json": JSON.stringify(RULES) } });

sandboxTest(
  "a job under any agent gets past the host's question about equal calls, and says so in its notes",
  async () => {
    const { server } = setup;
    const session = await server.createSession();
    const same = { name: "sandbox_exec", arguments: { command: "echo again" } };
    const four = { toolCalls: [same, same, same, same] }; // OpenCode counts the calls of one answer
    const repeats = (agent: string) => ({ ...task(agent, four, say(`${agent} done`)), agent });
    const agents = ["general", "build", "asker", "loner"];
    const [, waited] = await turn(server, session.id, start(...agents.map(repeats)), wait({ timeout_seconds: 60 }));
    expect(waited?.metadata.finished.map(({ state, result }) => [state, result])).toEqual(
      agents.map((agent) => ["completed", `${agent} done`]),
    );
    for (const { notes } of waited?.metadata.finished ?? []) expect(notes?.join("\n")).toContain("doom_loop");
    expect(must(await server.client.permission.list())).toEqual([]);
  },
);
