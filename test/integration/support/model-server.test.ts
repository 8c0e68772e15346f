import { expect, test } from "bun:test";
import { type ModelReply, type ModelScript, startModelServer } from "../../support/model-server.ts";
import { until } from "../../support/wait.ts";

const ask = (url: string, messages: unknown[], signal?: AbortSignal, tools: string[] = ["echo"]) =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "m1", messages, tools: tools.map((name) => ({ function: { name } })) }),
    ...(signal ? { signal } : {}),
  });

const user = (content: string) => ({ role: "user", content });

async function withModel(
  script: ModelScript,
  use: (model: Awaited<ReturnType<typeof startModelServer>>) => Promise<void>,
) {
  const model = await startModelServer(script);
  try {
    await use(model);
  } finally {
    await model.stop();
  }
}

const chunks = async (response: Response) =>
  (await response.text())
    .split("\n\n")
    .filter((line) => line.startsWith("data: {"))
    .map((line) => JSON.parse(line.slice(6)));

test("a request is told by its last user message and what followed it", async () => {
  const call = { id: "c1", function: { name: "echo", arguments: '{"n":1}' } };
  const messages = [
    { role: "system", content: "rules" },
    user("first"),
    { role: "assistant", content: "ok" },
    user("second"),
    { role: "assistant", content: null, tool_calls: [call] },
    { role: "tool", content: "result", tool_call_id: "c1" },
  ];
  await withModel(
    () => ({ text: "done" }),
    async (model) => {
      await (await ask(model.url, messages)).text();
      expect(model.requests).toMatchObject([
        { system: "rules", firstUser: "first", lastUser: "second", step: 1, toolResults: ["result"], tools: ["echo"] },
      ]);
      expect(model.requests[0]?.messages[3]?.toolCalls).toEqual([{ id: "c1", name: "echo", arguments: { n: 1 } }]);
    },
  );
});

test.each<[string, ModelReply, unknown]>([
  ["text", { text: "hello", usage: { input: 5, output: 6 } }, { finish: "stop", text: "hello", total: 11 }],
  ["pieces", { stream: ["a", "b"], gapMs: 1 }, { finish: "stop", text: "ab", total: 110 }],
  ["tool calls", { toolCalls: [{ name: "x", arguments: {} }] }, { finish: "tool_calls", text: "", total: 110 }],
])("it answers with %s", async (_name, reply, expected) => {
  await withModel(
    () => reply,
    async (model) => {
      const all = await chunks(await ask(model.url, [user("hi")]));
      expect({
        finish: all.at(-1).choices[0].finish_reason,
        text: all.map((chunk) => chunk.choices[0].delta.content ?? "").join(""),
        total: all.at(-1).usage.total_tokens,
      }).toEqual(expected as never);
    },
  );
});

test("a script that throws is a final error for the host and is kept", async () => {
  await withModel(
    () => {
      throw new Error("not expected");
    },
    async (model) => {
      expect((await ask(model.url, [user("hi")])).status).toBe(400);
      expect(model.errors.map((error) => error.message)).toEqual(["not expected"]);
    },
  );
});

test("title requests never reach the script", async () => {
  await withModel(
    () => ({ status: 500 }),
    async (model) => {
      const system = { role: "system", content: "You are a title generator." };
      expect((await ask(model.url, [system, user("hi")], undefined, [])).status).toBe(200);
      expect([model.requests.length, model.titleRequests.length]).toEqual([0, 1]);
    },
  );
});

test("a client that goes away is recorded", async () => {
  await withModel(
    () => ({ hang: true }),
    async (model) => {
      const abort = new AbortController();
      const asked = ask(model.url, [user("hang")], abort.signal).catch(() => "aborted");
      await until(() => model.requests.length === 1, { what: "the request arrives" });
      abort.abort();
      expect(await asked).toBe("aborted");
      await until(() => model.disconnected[0]?.lastUser === "hang", { what: "it is noticed" });
    },
  );
});
