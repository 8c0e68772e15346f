import { expect } from "bun:test";
import { HOLD, holders, openGates, sandboxTest } from "../support/sandboxes.ts";
import { say, script, scriptedModel } from "../support/scripted.ts";
import { ask, cancel, message, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

/* What the real OpenCode keeps of a job's turns, and what its orchestrator gets of it. */

const setup = useProject();

sandboxTest("counts cached and reasoning tokens over all turns, and tells what a job cost", async () => {
  const { server } = setup;
  const session = await server.createSession();
  const usage = { input: 1000, output: 100, cached: 600, reasoned: 30 };
  const [, first] = await turn(
    server,
    session.id,
    start(task("counts", { ...shell("true"), usage }, { ...say("counted"), usage })),
    wait(),
  );
  const [job] = first?.metadata.finished ?? [];
  expect(job?.tokens).toStrictEqual({ input: 800, output: 140, cached: 1200, reasoning: 60 });
  const cost = /cost \$(\d+\.\d+)/;
  expect(Number(cost.exec(first?.output ?? "")?.[1])).toBeCloseTo(job?.usd.model ?? 0, 3);

  const again = message(job?.id as string, script({ ...say("counted again"), usage }));
  const [, second] = await turn(server, session.id, again, wait());
  expect(second?.metadata.finished[0]?.tokens).toStrictEqual({ input: 1200, output: 210, cached: 1800, reasoning: 90 });
  expect((await ask(server, session.id, status())).output).toMatch(cost);
});

const REPORT = "The parser drops the last line of every file: src/parse.ts, line 42.";

sandboxTest("returns what a job said, whichever of its messages said it, and fails one that said nothing", async () => {
  const { server } = setup;
  const session = await server.createSession();
  const report = { ...shell("true"), text: REPORT };
  const refused = { status: 400, body: { error: { message: "Insufficient credit" } } };
  const answering = [
    task("ends empty", report, { text: "" }),
    task("ends blank", report, { text: " \n\u200b" }),
    task("ends done", report, say("Done.")),
    task("ends long after", report, ...Array.from({ length: 11 }, () => shell("true")), {}),
  ];
  const failing = [
    task("only thinks", { reasoning: "What now?" }),
    task("only works", shell("true"), {}),
    task("is cut off", { finish: "length" }),
    task("cannot pay", report, refused),
  ];
  const [, waited] = await turn(server, session.id, start(...answering, ...failing), wait());
  const found = new Map(waited?.metadata.finished.map((job) => [job.description, job]));
  for (const { description } of answering) {
    const { state, result } = found.get(description) ?? {};
    expect([description, state]).toEqual([description, "completed"]);
    expect(result).toStartWith(`${REPORT}\n[This is from an earlier message`);
  }
  expect(found.get("ends done")?.result).toEndWith("\nDone.");
  for (const { description } of failing.slice(0, 3)) {
    const { state, error, sandbox } = found.get(description) ?? {};
    expect([description, state, error?.code as string]).toEqual([description, "failed", "no_answer"]);
    expect(sandbox).not.toBe("gone");
  }
  expect(found.get("cannot pay")).toMatchObject({ state: "failed", result: REPORT, error: { code: "model_error" } });
  expect(waited?.output).toContain("What it had to say until then:");
});

sandboxTest(
  "delivers every answer of a job that got messages while it ran, and the last words of a cancelled one",
  async () => {
    const { server, home } = setup;
    const session = await server.createSession();
    const speaks = { stream: ["The cause ", "is the cache", ...Array.from({ length: 100 }, () => ".")], gapMs: 300 };
    const { metadata } = await ask(
      server,
      session.id,
      start(task("asked again", shell(HOLD), say("answer one")), task("cancelled", speaks)),
    );
    const [asked, cancelled] = metadata.jobs.map(({ id }) => id) as [string, string];
    await until(() => holders(home).length === 1, { what: "the first works" });
    await turn(
      server,
      session.id,
      message(asked, script(say("answer two"))),
      message(asked, script(say("answer three"))),
    );
    const stopped = await ask(server, session.id, cancel(cancelled));
    expect(stopped.metadata.jobs[0]?.result).toStartWith("The cause is the cache");
    expect(stopped.output).toContain("What it had to say until then:");
    openGates(home);
    const { output, metadata: ended } = await ask(server, session.id, wait({ jobs: [asked] }));
    expect(ended.finished).toMatchObject([{ result: "answer three", turns: 3 }]);
    const places = ["one", "two", "three"].map((word) => output.split(`answer ${word}`).length - 1);
    expect(places).toEqual([1, 1, 1]);
    expect(output).toMatch(/answer one.*answer two.*answer three/s);
    expect(await ask(server, session.id, wait())).toMatchObject({ output: expect.not.stringContaining("answer one") });
  },
);

sandboxTest(
  "ends jobs at once at a usage limit that resets in hours, and waits for one that resets in seconds",
  async () => {
    const { server, model } = setup;
    const session = await server.createSession();
    const report = { ...shell("true"), text: REPORT };
    const refuse = (message: string, headers: Record<string, string>, status = 429, code = "rate_limit_exceeded") => ({
      status,
      headers,
      body: { error: { message, code } },
    });
    const until = new Date(Date.now() + 5 * 3_600_000);
    const hours = [until, new Date(until.getTime() + 60_000)].map((at) =>
      at.toISOString().slice(0, 13).replace("T", " "),
    );
    let refusals = 0;
    model.use((request) => {
      const isBrief = request.firstUser.includes("waits a second") && request.tools.includes("sandbox_exec");
      return isBrief && refusals++ === 0 ? refuse("Rate limited", { "retry-after": "1" }) : scriptedModel(request);
    });
    const [, waited] = await turn(
      server,
      session.id,
      start(
        task("by header", report, refuse("Usage limit reached", { "retry-after": "18000" })),
        task("by text", report, refuse(`5-hour usage quota exceeded. It will reset at ${until.toISOString()}`, {})),
        task("for good", report, refuse("You have used up your weekly quota", {}, 403, "insufficient_quota")),
        task("waits a second", say("waits a second")),
      ),
      wait({ timeout_seconds: 30 }),
    );
    model.use(scriptedModel);
    const jobs = waited?.metadata.finished ?? [];
    expect(jobs.map(({ state, error, result }) => [state, error?.code ?? "", result ?? ""])).toEqual([
      ["failed", "usage_limit", REPORT],
      ["failed", "usage_limit", REPORT],
      ["failed", "usage_limit", REPORT],
      ["completed", "", "waits a second"],
    ]);
    for (const job of jobs.slice(0, 2)) {
      expect(job).toMatchObject({ sandbox: "parked", error: { retryable: true } });
      // Between one hour and the next, what the header says is in the later one.
      expect(hours.some((hour) => job.error?.message.includes(`That changes at ${hour}`))).toBe(true);
    }
  },
);

sandboxTest("takes no summary of a long conversation for an answer", async () => {
  const { server, model } = setup;
  const session = await server.createSession();
  let compacted = 0;
  model.use((request) => {
    if (request.tools.length === 0) {
      compacted++;
      return { text: "# Goal\nA summary of the conversation." };
    }
    return compacted > 0 && request.tools.includes("sandbox_exec") ? say("Done.") : scriptedModel(request);
  });
  const full = { ...shell("true"), text: REPORT, usage: { input: 99_000, output: 10 } };
  const [, waited] = await turn(server, session.id, start(task("long", full, say("never"))), wait());
  model.use(scriptedModel);
  expect(compacted).toBe(1);
  expect(waited?.metadata.finished[0]?.result).toBe(
    `${REPORT}\n[This is from an earlier message. The job ended with:]\nDone.`,
  );
});
