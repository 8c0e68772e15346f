import { expect } from "bun:test";
import type { ToolPart } from "@opencode-ai/sdk/v2/client";
import { type AttackLab, allToolParts, JOB_TOOLS } from "./attack-host.ts";
import type { LabServer } from "./test-host.ts";
import { call, say, script } from "./scripted.ts";

export const ALLOW_ALL = [{ permission: "*", pattern: "*", action: "allow" }];

/** One request to OpenCode's HTTP API, as any client of the user may send it. */
export async function http(lab: LabServer, method: "POST" | "PATCH", path: string, body: unknown) {
  const url = `${lab.server.url}${path}?directory=${encodeURIComponent(lab.home.project)}`;
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method, headers, body: JSON.stringify(body) });
  return { status: response.status, text: await response.text() };
}

/** Prompts a session as `build`; its model then calls a tool of the host, of an MCP server and of the project. */
export function promptForHost(lab: AttackLab, sessionID: string, body: object = {}) {
  const bash = call("bash", { command: `touch ${lab.ran.path("bash")}`, description: "touches" });
  const text = script(bash, call("host_touch", {}), call("hostly", {}), say("done"));
  return http(lab, "POST", `/session/${sessionID}/message`, {
    agent: "build",
    parts: [{ type: "text", text }],
    ...body,
  });
}

export const shellOnHost = (lab: AttackLab, sessionID: string) =>
  http(lab, "POST", `/session/${sessionID}/shell`, { agent: "build", command: `touch ${lab.ran.path("shell")}` });

export async function hostCalls(lab: AttackLab, sessionID: string): Promise<ToolPart[]> {
  return (await allToolParts(lab, sessionID)).filter(({ tool }) => !JOB_TOOLS.includes(tool));
}

/** The three calls were visible to the model, so that it was the guard alone that stopped them. */
export async function expectStoppedByGuard(lab: AttackLab, sessionID: string): Promise<void> {
  const names = ["bash", "host_touch", "hostly"];
  expect(lab.model.requests.at(-1)?.tools).toEqual(expect.arrayContaining(names));
  const parts = (await hostCalls(lab, sessionID)).slice(-3);
  expect(parts.map(({ tool, state }) => `${tool} ${state.status}`)).toEqual(names.map((tool) => `${tool} error`));
  for (const { state } of parts) expect(JSON.stringify(state)).toContain("would run on the user's machine");
  expect(lab.ran.names()).toEqual([]);
}
