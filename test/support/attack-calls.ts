import { join } from "node:path";
import type { AttackSetup } from "./attack-setup.ts";
import type { ModelReply } from "./model-server.ts";
import { call, say, script } from "./scripted.ts";

/** Calls that run on the host from an ordinary session, which a test has to show first. */
export const hostCallsOf = (setup: AttackSetup): ModelReply[] => [
  call("bash", { command: `touch ${setup.ran.path("bash")}`, description: "touches" }),
  call("read", { filePath: join(setup.home.home, "canary.txt") }),
  call("write", { filePath: setup.ran.path("write"), content: "x" }),
  call("edit", { filePath: setup.ran.path("edit"), oldString: "", newString: "x" }),
  call("webfetch", { url: setup.web.url, format: "text" }),
  call("todowrite", { todos: [{ content: "x", status: "pending", priority: "high" }] }),
  call("hostly", { text: "x" }),
  call("host_touch", { command: "x" }),
  call("task", { description: "d", prompt: script(say("sub")), subagent_type: "general" }),
];

/** Calls that an ordinary session lacks here, or that would wait for a person. */
export const otherCallsOf = (setup: AttackSetup): ModelReply[] => [
  call("glob", { pattern: "**/*", path: setup.home.home }),
  call("grep", { pattern: "canary", path: setup.home.home }),
  call("list", { path: setup.home.home }),
  call("apply_patch", { patchText: `*** Begin Patch\n*** Add File: ${setup.ran.path("patch")}\n+x\n*** End Patch` }),
  call("websearch", { query: setup.web.url }),
  call("lsp", { operation: "hover", filePath: join(setup.home.project, "secret.txt"), line: 1, character: 1 }),
  call("question", { questions: [{ question: "?", header: "?", options: [{ label: "a", description: "a" }] }] }),
  call("plan_exit", {}),
  call("execute", { code: "tools.host.touch({})" }),
  call("batch", { tool_calls: [{ tool: "bash", parameters: { command: `touch ${setup.ran.path("batch")}` } }] }),
  call("task", { description: "d", prompt: "x", subagent_type: "sandbox_worker" }),
  call("agents_cancel", { jobs: ["$job1"] }),
  call("agents_collect", { job: "$job1" }),
  call("agents_message", { job: "$job1", message: "x" }),
  call("list_mcp_resources", {}),
  call("invalid", { tool: "bash", error: "x" }),
  call("BASH", { command: `touch ${setup.ran.path("upper")}` }),
  call("sandbox_touch", { command: "x" }),
  call("constructor", {}),
];
