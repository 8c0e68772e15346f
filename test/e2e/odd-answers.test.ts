import { expect } from "bun:test";
import { must } from "../support/opencode.ts";
import { HOLD, holders, openGates, sandboxTest } from "../support/sandboxes.ts";
import { say, scriptedModel } from "../support/scripted.ts";
import { ask, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

/* What the real OpenCode makes of answers that are none, and what becomes of the job. */

const setup = useProject({ maxRunningJobs: 8 });

const chunk = (delta: object, finish: string | null = null): string =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m1", choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const half = chunk({ role: "assistant", content: "The answer is " });
const halfCall = chunk({
  tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "sandbox_exec", arguments: '{"com' } }],
});
const ENDLESS: Record<string, { raw: string[]; type?: string }> = {
  "answers nothing": { raw: [] },
  "answers a page": { raw: ["<html>Log in to this network</html>"], type: "text/html" },
  "answers half": { raw: [half] },
  "calls half": { raw: [halfCall] },
  "says that it calls": { raw: [half, chunk({}, "tool_calls"), "data: [DONE]\n\n"] },
};

sandboxTest(
  "a job whose provider never ends an answer fails after a few requests, and its model is left in peace",
  async () => {
    const { server, model } = setup;
    const asked: Record<string, number> = {};
    model.use((request) => {
      const name = Object.keys(ENDLESS).find(
        (one) => request.firstUser.includes(one) && request.tools.includes("job_report"),
      );
      if (name === undefined) return scriptedModel(request);
      asked[name] = (asked[name] ?? 0) + 1;
      return ENDLESS[name] as { raw: string[] };
    });
    const session = await server.createSession();
    const tasks = Object.keys(ENDLESS).map((name) => ({ description: name, prompt: `This one ${name}.` }));
    const [, waited] = await turn(server, session.id, start(...tasks), wait({ timeout_seconds: 150 }));
    const ends = new Map(
      waited?.metadata.finished.map(({ description, state, error }) => [description, { state, error }]),
    );
    for (const name of Object.keys(ENDLESS)) {
      expect([name, ends.get(name)]).toEqual([
        name,
        { state: "failed", error: expect.objectContaining({ code: "model_error", retryable: true }) },
      ]);
      expect([name, asked[name]]).toEqual([name, expect.any(Number)]);
      expect(asked[name]).toBeLessThanOrEqual(10);
    }
    const before = { ...asked };
    await ask(server, session.id, status());
    expect(asked).toEqual(before);
    model.use(scriptedModel);
  },
);

sandboxTest(
  "a refusal that quotes the key, and an error in the middle of an answer, are told without the key and in words",
  async () => {
    const { server } = setup;
    const session = await server.createSession();
    const refused = {
      status: 401,
      body: { error: { message: "Incorrect API key provided: sk-secret1234567890abcdef." } },
    };
    const error = `data: ${JSON.stringify({ error: { code: 400, message: "Provider returned error" } })}\n\n`;
    const [, waited] = await turn(
      server,
      session.id,
      start(task("refused", refused), task("broken off", { raw: [half, error, "data: [DONE]\n\n"] })),
      wait(),
    );
    const found = new Map(waited?.metadata.finished.map((job) => [job.description, job.error?.message]));
    expect(found.get("refused")).toBe("APIError: Incorrect API key provided: (hidden).");
    expect(found.get("broken off")).toContain("broke its answer off with an error: Provider returned error (400).");
    expect(JSON.stringify(waited)).not.toContain("1234567890abcdef");
  },
);

sandboxTest("a job goes on after the user has had its conversation summarized", async () => {
  const { server, model, home } = setup;
  model.use((request) => {
    if (request.tools.length === 0) return say("# Goal");
    if (request.lastUser.startsWith("The user had this conversation summarized")) return say("the real answer");
    return scriptedModel(request);
  });
  const session = await server.createSession();
  const first = { ...shell(HOLD), text: "I begin." };
  const started = await ask(server, session.id, start(task("is summarized", first, say("never said"))));
  await until(() => holders(home).length === 1, { what: "the job is at work" });
  const [job] = (await ask(server, session.id, status(started.metadata.jobs[0]?.id as string))).metadata.jobs;
  const summarized = server.client.session.summarize({
    sessionID: job?.sessionID as string,
    providerID: "mock",
    modelID: "m1",
  });
  openGates(home);
  must(await summarized);
  const [waited] = await turn(server, session.id, wait());
  expect(waited?.metadata.finished).toEqual([
    expect.objectContaining({ state: "completed", result: "the real answer" }),
  ]);
  model.use(scriptedModel);
});
