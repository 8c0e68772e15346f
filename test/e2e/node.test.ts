import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { JobView } from "../../src/views/job-view.ts";
import { type ModelServer, startModelServer } from "../support/model-server.ts";
import { type NodeHost, startNodeHost } from "../support/node-host.ts";
import { createHome, type OpencodeHome } from "../support/opencode-home.ts";
import { sandboxesOf, sandboxTest } from "../support/sandboxes.ts";
import { scriptedModel } from "../support/scripted.ts";
import { PACKAGE } from "../support/test-setup.ts";
import { message, start, task, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

/* The desktop app runs plugins in Node. Here child sessions have none of our tools: their model answers in text. */

let model: ModelServer;
let home: OpencodeHome;
let host: NodeHost;

beforeAll(async () => {
  model = await startModelServer(scriptedModel);
  home = createHome({ modelUrl: model.url });
  host = await startNodeHost(home, { module: join(PACKAGE, "dist/index.js"), options: { parkAfterSeconds: 0 } });
});

afterAll(async () => {
  await host?.stop();
  await home?.remove();
  await model?.stop();
});

test("offers its tools in Node, and refuses a job's tools to every other session", async () => {
  const { id: sessionID } = await host.server.createSession();
  expect([...host.tools].sort()).toEqual([
    "agents_cancel",
    "agents_collect",
    "agents_message",
    "agents_start",
    "agents_status",
    "agents_wait",
    "experiments_list",
    "experiments_score",
    "job_report",
    "sandbox_edit",
    "sandbox_exec",
    "sandbox_process",
    "sandbox_read",
    "sandbox_snapshot",
    "sandbox_write",
  ]);
  const marker = join(home.root, "on-the-host");
  const calls = {
    sandbox_exec: { command: `touch ${marker}` },
    sandbox_process: { process: "1" },
    sandbox_read: { path: "/etc/passwd" },
    sandbox_write: { path: marker, content: "x" },
    sandbox_edit: { path: "/etc/passwd", old_string: "root", new_string: "toor" },
    job_report: { status: "working" },
  };
  for (const [tool, args] of Object.entries(calls)) {
    const { output, metadata } = await host.call(tool, args, { sessionID });
    expect(metadata).toMatchObject({ error: { code: "not_found", retryable: false } });
    expect(output).toContain(`${tool} works only inside a job`);
  }
  expect(existsSync(marker)).toBe(false);
});

sandboxTest("starts, awaits, messages, freezes and cancels jobs in Node", async () => {
  const { id: sessionID } = await host.server.createSession();
  const use = async (reply: ReturnType<typeof start>) => {
    const [called] = "toolCalls" in reply ? (reply.toolCalls ?? []) : [];
    const { metadata } = await host.call(called?.name ?? "", called?.arguments, { sessionID });
    return metadata as Record<"jobs" | "finished" | "pending", JobView[]> & Record<string, unknown>;
  };
  const say = (text: string) => ({ text });
  const { jobs } = await use(start(task("answers", say("from node")), task("silent", { hang: true })));
  const [answers, silent] = jobs.map(({ id }) => id) as [string, string];
  expect(jobs.map(({ state }) => state)).toEqual(["queued", "queued"]);
  const first = await use(wait({ until: "any" }));
  expect(first).toMatchObject({ reason: "satisfied", pending: [{ id: silent }] });
  expect(first.finished).toMatchObject([{ id: answers, state: "completed", result: "from node" }]);
  await until(() => sandboxesOf(home).length === 1, { what: "the first is parked" });

  const frozen = await use({ toolCalls: [{ name: "sandbox_snapshot", arguments: { job: answers, label: "kept" } }] });
  expect(frozen).toMatchObject({ label: "kept", job: answers, kind: "filesystem" });
  const fork = { ...task("fork", say("forked")), from: "kept" };
  await use(start(fork));
  await use(message(answers, task("", say("again")).prompt));
  expect((await use(wait({ until: 2 }))).finished.map(({ result }) => result)).toEqual(["again", "forked"]);

  const abort = new AbortController();
  const waiting = host.call("agents_wait", {}, { sessionID }, { abort: abort.signal });
  await host.call("agents_status", {}, { sessionID });
  abort.abort();
  expect((await waiting).metadata).toMatchObject({ reason: "interrupted", pending: [{ id: silent }] });
  const cancelled = await use({ toolCalls: [{ name: "agents_cancel", arguments: { jobs: [silent] } }] });
  expect(cancelled.jobs).toMatchObject([{ id: silent, state: "cancelled", sandbox: "parked" }]);
  const last = await use({ toolCalls: [{ name: "agents_status", arguments: {} }] });
  expect(last).toMatchObject({ pool: { running: 0, queued: 0 }, snapshots: [{ label: "kept" }] });
  await until(() => sandboxesOf(home).length === 0, { what: "every sandbox is given up" });
  for (const { sessionID: child } of last.jobs) {
    const rules = (await host.server.client.session.get({ sessionID: child as string })).data?.permission ?? [];
    expect(rules[0]).toEqual({ permission: "*", pattern: "*", action: "deny" });
  }
  expect(existsSync(join(home.stateDir, "sessions", `${sessionID}.db`))).toBe(true);
});
