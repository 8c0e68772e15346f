import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type ModelServer, startModelServer } from "../support/model-server.ts";
import { startNodeHost } from "../support/node-host.ts";
import { type OpencodeServer, restart, startServe } from "../support/opencode.ts";
import { createHome, type OpencodeHome } from "../support/opencode-home.ts";
import { runOnce } from "../support/opencode-run.ts";
import { hasTmux, startTui } from "../support/tmux.ts";
import { until } from "../support/wait.ts";

const plugin = `export default { id: "echo", server: async (input, options) => ({ tool: { echo: {
  description: "Says it back", args: { text: { type: "string" } },
  execute: async (args, ctx) => options.prefix + args.text } } }) }`;

const nodePlugin = `const seen = [];
export default { id: "node", server: async ({ client }, options) => ({
  config: async (config) => { config.agent = { ...config.agent, worker: { mode: "subagent", prompt: "You work." } } },
  event: async ({ event }) => void seen.push(event.type),
  tool: {
    delegate: { description: "", args: {}, execute: async ({ text }, ctx) => {
      const child = (await client.session.create({ body: { parentID: ctx.sessionID, title: "child" } })).data;
      const reply = (await client.session.prompt({ path: { id: child.id }, body: { agent: "worker", parts: [{ type: "text", text }] } })).data;
      const said = reply.parts.find((part) => part.type === "text").text;
      return { output: options.greeting + " " + said, metadata: { bun: typeof Bun !== "undefined", agent: reply.info.mode } };
    } },
    wait: { description: "", args: {}, execute: (args, ctx) =>
      new Promise((done) => ctx.abort.addEventListener("abort", () => done(seen.join(" ")))) },
  } }) }`;

let model: ModelServer;
let home: OpencodeHome;
let server: OpencodeServer;

beforeAll(async () => {
  model = await startModelServer(({ toolResults }) =>
    toolResults.length > 0
      ? { text: `the tool said ${toolResults[0]}` }
      : { toolCalls: [{ name: "echo", arguments: { text: "hello" } }] },
  );
  home = createHome({
    modelUrl: model.url,
    plugins: [["../../plugin.js", { prefix: "echo: " }]],
    homeFiles: { "plugin.js": plugin },
  });
  server = await startServe(home);
});

afterAll(async () => {
  await server?.stop();
  await home?.remove();
  await model?.stop();
});

test("runs a plugin's tool for a prompt over serve, and ends with the model's answer", async () => {
  const session = await server.createSession();
  const { info, parts } = await server.prompt(session.id, "say hello");
  expect(info).toMatchObject({ role: "assistant", finish: "stop" });
  expect(parts.find((part) => part.type === "text")?.text).toBe("the tool said echo: hello");
  expect(await server.toolParts(session.id, "echo")).toMatchObject([
    { state: { status: "completed", output: "echo: hello" } },
  ]);
  expect(model.requests.at(-1)).toMatchObject({ step: 1, lastUser: "say hello", model: "m1" });
  expect(model.requests.at(-1)?.tools).toContain("echo");
  expect(model.errors).toEqual([]);
  await server.events.waitFor((event) => event.type === "session.idle", { what: "the session is idle" });
});

test("disconnects from the model when a turn is aborted", async () => {
  model.use(() => ({ hang: true }));
  const before = model.requests.length;
  const session = await server.createSession();
  await server.promptAsync(session.id, "hang");
  await server.events.waitFor(() => model.requests.length > before, { what: "the model is asked" });
  await server.client.session.abort({ sessionID: session.id });
  await server.whenIdle(session.id);
  expect((await server.messages(session.id)).at(-1)?.info).toMatchObject({ error: { name: "MessageAbortedError" } });
  await until(() => model.disconnected.length === 1, { what: "the model notices" });
});

test("keeps a session across a restart of the process", async () => {
  const session = await server.createSession({ title: "kept" });
  const first = await startServe(home);
  const second = await restart(first, home);
  expect((await second.client.session.get({ sessionID: session.id })).data?.title).toBe("kept");
  await second.kill();
});

test("opencode run reports the same events as JSON lines", async () => {
  model.use(({ toolResults }) =>
    toolResults.length > 0
      ? { stream: ["do", "ne"], gapMs: 20 }
      : { toolCalls: [{ name: "echo", arguments: { text: "x" } }] },
  );
  const run = await runOnce(home, "say x");
  expect(run).toMatchObject({ exitCode: 0 });
  expect(run.events.find((event) => event.type === "tool_use")?.part).toMatchObject({
    tool: "echo",
    state: { output: "echo: x" },
  });
  expect(run.events.find((event) => event.type === "text")?.part?.text).toBe("done");
});

test.skipIf(!hasTmux)("the terminal UI shows the answer", async () => {
  model.use(() => ({ text: "seen in the terminal" }));
  const terminal = await startTui(home);
  try {
    await terminal.submit("hello");
    await terminal.waitForText("seen in the terminal");
  } finally {
    await terminal.close();
  }
});

test("runs a plugin in plain Node beside a server", async () => {
  model.use(({ lastUser }) => ({ text: `answer to ${lastUser}` }));
  const own = createHome({ modelUrl: model.url, homeFiles: { "plugin.mjs": nodePlugin } });
  const host = await startNodeHost(own, { module: join(own.home, "plugin.mjs"), options: { greeting: "hi" } });
  try {
    const session = await host.server.createSession();
    const result = await host.call("delegate", { text: "work" }, { sessionID: session.id });
    expect(result).toEqual({ output: "hi answer to work", metadata: { bun: false, agent: "worker" } });
    expect((await host.server.children(session.id)).map((child) => child.title)).toEqual(["child"]);
    const abort = new AbortController();
    const waiting = host.call("wait", {}, { sessionID: session.id }, { abort: abort.signal });
    abort.abort();
    expect(await waiting).toMatchObject({ output: expect.stringContaining("session.idle") });
    await expect(host.call("nothing", {}, { sessionID: session.id })).rejects.toThrow("no tool nothing");
  } finally {
    await host.stop();
    await own.remove();
  }
});
