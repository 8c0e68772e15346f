import { join } from "node:path";
import type { AttackLab } from "./attack-host.ts";
import type { ModelReply } from "./model-server.ts";
import { call, say, script } from "./scripted.ts";

/** Calls that run on the host from an ordinary session, which a test has to show first. */
export const hostCallsOf = (lab: AttackLab): ModelReply[] => [
  call("bash", { command: `touch ${lab.ran.path("bash")}`, description: "touches" }),
  call("read", { filePath: join(lab.home.home, "canary.txt") }),
  call("write", { filePath: lab.ran.path("write"), content: "x" }),
  call("edit", { filePath: lab.ran.path("edit"), oldString: "", newString: "x" }),
  call("webfetch", { url: lab.web.url, format: "text" }),
  call("todowrite", { todos: [{ content: "x", status: "pending", priority: "high" }] }),
  call("hostly", { text: "x" }),
  call("host_touch", { command: "x" }),
  call("task", { description: "d", prompt: script(say("sub")), subagent_type: "general" }),
];

/** Calls that an ordinary session lacks here, or that would wait for a person. */
export const otherCallsOf = (lab: AttackLab): ModelReply[] => [
  call("glob", { pattern: "**/*", path: lab.home.home }),
  call("grep", { pattern: "canary", path: lab.home.home }),
  call("list", { path: lab.home.home }),
  call("apply_patch", { patchText: `*** Begin Patch\n*** Add File: ${lab.ran.path("patch")}\n+x\n*** End Patch` }),
  call("websearch", { query: lab.web.url }),
  call("lsp", { operation: "hover", filePath: join(lab.home.project, "secret.txt"), line: 1, character: 1 }),
  call("question", { questions: [{ question: "?", header: "?", options: [{ label: "a", description: "a" }] }] }),
  call("plan_exit", {}),
  call("execute", { code: "tools.host.touch({})" }),
  call("batch", { tool_calls: [{ tool: "bash", parameters: { command: `touch ${lab.ran.path("batch")}` } }] }),
  call("task", { description: "d", prompt: "x", subagent_type: "sandbox_worker" }),
  call("agents_start", { tasks: [{ description: "nested", prompt: "x" }] }),
  call("agents_status", {}),
  call("agents_message", { job: "$job1", message: "x" }),
  call("list_mcp_resources", {}),
  call("invalid", { tool: "bash", error: "x" }),
  call("BASH", { command: `touch ${lab.ran.path("upper")}` }),
  call("sandbox_touch", { command: "x" }),
  call("constructor", {}),
];
