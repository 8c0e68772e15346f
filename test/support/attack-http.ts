import { expect } from "bun:test";
import type { ToolPart } from "@opencode-ai/sdk/v2/client";
import { type AttackSetup, allToolParts, JOB_TOOLS } from "./attack-setup.ts";
import { call, say, script } from "./scripted.ts";
import type { TestSetup } from "./test-setup.ts";

export const ALLOW_ALL = [{ permission: "*", pattern: "*", action: "allow" }];

/** One request to OpenCode's HTTP API, as any client of the user may send it. */
export async function http(setup: TestSetup, method: "POST" | "PATCH", path: string, body: unknown) {
  const url = `${setup.server.url}${path}?directory=${encodeURIComponent(setup.home.project)}`;
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method, headers, body: JSON.stringify(body) });
  return { status: response.status, text: await response.text() };
}

/** Prompts a session as `build`; its model then calls a tool of the host, of an MCP server and of the project. */
export function promptForHost(setup: AttackSetup, sessionID: string, body: object = {}) {
  const bash = call("bash", { command: `touch ${setup.ran.path("bash")}`, description: "touches" });
  const text = script(bash, call("host_touch", {}), call("hostly", {}), say("done"));
  return http(setup, "POST", `/session/${sessionID}/message`, {
    agent: "build",
    parts: [{ type: "text", text }],
    ...body,
  });
}

export const shellOnHost = (setup: AttackSetup, sessionID: string) =>
  http(setup, "POST", `/session/${sessionID}/shell`, { agent: "build", command: `touch ${setup.ran.path("shell")}` });

export async function hostCalls(setup: AttackSetup, sessionID: string): Promise<ToolPart[]> {
  return (await allToolParts(setup, sessionID)).filter(({ tool }) => !JOB_TOOLS.includes(tool));
}

/** The three calls were visible to the model, so that it was the guard alone that stopped them. */
export async function expectStoppedByGuard(setup: AttackSetup, sessionID: string): Promise<void> {
  const names = ["bash", "host_touch", "hostly"];
  expect(setup.model.requests.at(-1)?.tools).toEqual(expect.arrayContaining(names));
  const parts = (await hostCalls(setup, sessionID)).slice(-3);
  expect(parts.map(({ tool, state }) => `${tool} ${state.status}`)).toEqual(names.map((tool) => `${tool} error`));
  for (const { state } of parts) expect(JSON.stringify(state)).toContain("would run on the user's machine");
  expect(setup.ran.names()).toEqual([]);
}
