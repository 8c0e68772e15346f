import { describe, expect, test } from "bun:test";
import { z } from "zod";
import type { Delegation } from "../../../../src/hosts/opencode-1/delegation.ts";
import type { HostClient } from "../../../../src/hosts/opencode-1/host-client.ts";
import { toToolDefinitions } from "../../../../src/hosts/opencode-1/tool-definitions.ts";
import { requirePermission } from "../../../../src/tools/permission.ts";
import type { Tool, ToolCall } from "../../../../src/tools/tool.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

type Ask = (request: object) => Promise<void>;

/** A tool with this `run`, as OpenCode calls it. */
function open(
  run: (call: ToolCall, args: unknown) => Promise<unknown>,
  {
    askedAs = async () => ({}) as never,
    messages,
    view,
    started,
  }: {
    askedAs?: Delegation["askedAs"];
    messages?: readonly object[];
    view?: string;
    started?: string[];
  } = {},
) {
  const state = { isDisposed: false, shown: [] as string[], awaited: [] as string[] };
  const clock = createFakeClock();
  const part = { update: async (shown: { part: { text: string } }) => void state.shown.push(shown.part.text) };
  const tool: Tool = {
    name: "probe",
    description: "Probes.",
    args: { n: z.number() },
    run: async (args, call) => ({
      title: "t",
      output: String(await run(call, args)),
      metadata: { a: 1 },
      ...(view !== undefined && { view: () => view }),
      ...(started !== undefined && { started }),
    }),
  };
  const { probe } = toToolDefinitions([tool], {
    client: { part } as unknown as HostClient,
    clock,
    hostIDs: () => "prt_1",
    self: "me",
    models: { of: async ({ sessionID, messageID }) => ({ model: `acme/${sessionID}-${messageID}`, variant: "high" }) },
    userRules: () => ({ all: [], agents: {} }),
    jobSessions: { jobOf: async () => null, parentOf: async () => null },
    firstRequests: { sent: async (jobIDs) => void state.awaited.push(...jobIDs) },
    images: { answeredBy: async (_call, answered) => answered },
    agents: async () => [{ name: "build", permission: [] }] as never,
    delegation: { askedAs },
    isDisposed: () => state.isDisposed,
  });
  if (!probe) throw new Error("no tool");
  const stop = new AbortController();
  const execute = (ask: Ask = async () => {}) =>
    probe.execute({ n: 1 }, {
      sessionID: "s",
      messageID: "m",
      callID: "c",
      agent: "build",
      directory: "/d",
      abort: stop.signal,
      messages,
      ask,
    } as never);
  return { probe, state, stop, clock, execute };
}

test("a tool keeps its description and arguments, and its answer its title, output and metadata", async () => {
  const { probe, execute } = open(async (_call, args) => JSON.stringify(args));
  expect(probe).toMatchObject({ description: "Probes.", args: { n: expect.anything() } });
  expect(await execute()).toEqual({ title: "t", output: '{"n":1}', metadata: { a: 1 } });
});

test("a call knows its session, message, id, agent, directory, model and variant", async () => {
  const { execute } = open(async ({ sessionID, messageID, callID, agent, directory, model }) =>
    [sessionID, messageID, callID, agent, directory, ...Object.values(await model())].join(),
  );
  expect(await execute()).toMatchObject({ output: "s,m,c,build,/d,acme/s-m,high" });
});

test("what the user forbids to a session is read from OpenCode, and unknown when it does not say", async () => {
  const deny = [{ permission: "bash", pattern: "*", action: "deny" }];
  const run = async (call: ToolCall) => (await call.forbiddenToJobs()).join();
  const known = open(run, { askedAs: async () => ({ permission: deny }) as never });
  expect(await known.execute()).toMatchObject({ output: "sandbox_exec,sandbox_process,agents_start" });
  const unknown = open(run, { askedAs: () => Promise.reject(new Error("NotFound")) });
  await expect(unknown.execute()).rejects.toThrow("NotFound");
});

test("the message that a call answers is the newest of the user's that OpenCode gave its step", async () => {
  const message = (id: string, role: string) => ({ info: { id, role } });
  const messages = [message("old", "user"), message("asked", "user"), message("step", "assistant")];
  const run = async (call: ToolCall) => call.imagesFrom();
  expect(await open(run, { messages }).execute()).toMatchObject({ output: "asked" });
  expect(await open(run).execute()).toMatchObject({ output: "null" });
});

describe("asking the user", () => {
  const question = { permission: "gpu", patterns: ["T4"], metadata: { tasks: 1 } };

  test("passes the question to OpenCode, which answers at once where the rules allow it", async () => {
    const asked: object[] = [];
    const { execute } = open((call) => call.ask(question));
    expect(await execute(async (request) => void asked.push(request))).toMatchObject({ output: "allowed" });
    expect(asked).toEqual([{ ...question, always: ["*"] }]);
  });

  test("rejects a refused call with OpenCode's own error, which it tells the model of", async () => {
    const refusal = new Error("The user rejected permission to use this specific tool call.");
    const refuse = () => Promise.reject(refusal);
    await expect(open((call) => requirePermission(call, "gpu", ["T4"])).execute(refuse)).rejects.toBe(refusal);
    expect(await open((call) => call.ask(question)).execute(refuse)).toMatchObject({ output: "refused" });
  });

  test("ends when the turn is stopped: OpenCode never answers then", async () => {
    const { execute, stop } = open((call) => call.ask(question));
    const answer = execute(() => new Promise(() => {}));
    stop.abort();
    expect(await answer).toMatchObject({ output: "cannot_ask" });
    expect(await execute(() => expect.unreachable("asked in a stopped turn"))).toMatchObject({ output: "cannot_ask" });
  });
});

test("no tool answers once OpenCode disposes of the instance, not even with an error", async () => {
  const pending = Symbol();
  const first = (call: Promise<unknown>) => Promise.race([call, Bun.sleep(20).then(() => pending)]);
  for (const run of [async () => "done", () => Promise.reject(new Error("failed"))]) {
    const { execute, state } = open(run);
    state.isDisposed = true;
    expect(await first(execute())).toBe(pending);
  }
});

describe("what a call leaves for people", () => {
  const answer = async () => "ok";

  test("is shown with its answer", async () => {
    const { state, execute } = open(answer, { view: "a board" });
    expect(await execute()).toMatchObject({ output: "ok" });
    expect(state.shown).toEqual(["a board"]);
  });

  test("is shown a moment after the answer of a call that has started jobs, which comes once their models are asked", async () => {
    const { state, clock, execute } = open(answer, { view: "a board", started: ["job_1"] });
    expect(await execute()).toEqual({ title: "t", output: "ok", metadata: { a: 1 } });
    expect([state.awaited, state.shown]).toEqual([["job_1"], []]);
    await clock.advance(1_000);
    expect(state.shown).toEqual(["a board"]);
  });

  test("is not shown by an instance that has ended", async () => {
    const { state, clock, execute } = open(answer, { view: "a board", started: ["job_1"] });
    await execute();
    state.isDisposed = true;
    await clock.advance(1_000);
    expect(state.shown).toEqual([]);
  });
});
