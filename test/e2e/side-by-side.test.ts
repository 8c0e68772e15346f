import { afterAll, afterEach, beforeAll, describe, expect } from "bun:test";
import { type ModalSetup, noneLeft, startModalSetup } from "../support/modal-setup.ts";
import type { ModelRequest } from "../support/model-server.ts";
import { restart } from "../support/opencode.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { say, script, systemMessagesOf } from "../support/scripted.ts";
import { ask, cancel, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { TURN_EVERY_MS, until } from "../support/wait.ts";

/* The model of a job works while its sandbox is being made. */

const ofJob = (requests: readonly ModelRequest[], word: string): ModelRequest[] =>
  requests.filter(
    ({ tools, messages }) => tools.includes("job_report") && messages.some((m) => m.content.includes(word)),
  );

describe("on Modal", () => {
  let setup: ModalSetup;

  beforeAll(async () => {
    setup = await startModalSetup({ parkAfterSeconds: 0, environments: { default: { ports: [8080] } } });
  });

  afterEach(async () => {
    await setup.modal.faults.clear();
    await noneLeft(setup.modal);
  });

  afterAll(async () => {
    await setup?.stop();
  });

  /** Starts a job whose sandbox comes once the faults are cleared, and waits until its first command waits for it. */
  async function startSlow(word: string, fault: object = {}) {
    await setup.modal.faults.add({ method: "SandboxCreateV2", delayMs: 110_000, ...fault });
    const session = await setup.server.createSession();
    const replies = [shell(`echo first ${word}`), shell("echo second"), say("done")];
    await ask(setup.server, session.id, start(task(word, ...replies)));
    const job = await until(
      async () => {
        const [one] = (await ask(setup.server, session.id, status())).metadata.jobs;
        return one?.tool === "sandbox_exec" ? one : null;
      },
      { what: "its first command waits", everyMs: TURN_EVERY_MS },
    );
    expect(job).toMatchObject({ state: "starting", sandbox: "creating", turns: 1 });
    return { session, job };
  }

  const shown = async (sessionID = "") =>
    (await setup.server.messages(sessionID)).flatMap(({ parts }) =>
      parts.flatMap((part) => (part.type === "text" && part.text.startsWith("waiting for its sandbox: ") ? part : [])),
    );

  sandboxTest("the first command waits for the sandbox, says so, and tells what was not known of it", async () => {
    const { session, job } = await startSlow("early");
    await until(async () => (await shown(job.sessionID)).length === 1, { what: "it says so" });
    await setup.modal.faults.clear();
    const waited = await ask(setup.server, session.id, wait());
    expect(waited.metadata.finished).toMatchObject([{ state: "completed", result: "done" }]);
    const [first = "", second] = await outputsOf(setup.server, job, "sandbox_exec");
    expect(first).toMatch(/^Know besides:\n(- .*\n)*- .*8080.*https:.*\n(- .*\n)*\nfirst early\n\[exit code 0\]$/);
    expect(second).toBe("second\n[exit code 0]");
    await until(async () => (await shown(job.sessionID)).length === 0, { what: "it says so no more" });
    const texts = ofJob(setup.model.requests, "early").map(systemMessagesOf);
    expect(texts).toHaveLength(3);
    expect(texts).toEqual([texts[0] ?? [], texts[0] ?? [], texts[0] ?? []]);
    expect(texts.join()).not.toContain("not running now");
  });

  sandboxTest("a sandbox that is refused ends the turn and the job, whose model's cost counts", async () => {
    const { session, job } = await startSlow("refused", { code: 7, message: "not yours" });
    await setup.modal.faults.clear();
    const [failed] = (await ask(setup.server, session.id, wait())).metadata.finished;
    expect(failed).toMatchObject({ state: "failed", error: { code: "sandbox_create_failed" }, sandbox: "none" });
    expect(failed?.usd.model).toBeGreaterThan(0);
    expect(ofJob(setup.model.requests, "refused")).toHaveLength(1);
    expect((await setup.server.client.session.status()).data?.[job.sessionID as string]).toBeUndefined();
  });

  sandboxTest("a job cancelled meanwhile leaves no sandbox, and no model at work", async () => {
    const { session, job } = await startSlow("cancelled", { when: "after" });
    const [cancelled] = (await ask(setup.server, session.id, cancel(job.id))).metadata.jobs;
    expect(cancelled).toMatchObject({ state: "cancelled" });
    await setup.server.whenIdle(job.sessionID as string);
    expect(ofJob(setup.model.requests, "cancelled")).toHaveLength(1);
  });

  sandboxTest(
    "after a kill the turn goes on with another sandbox, and the one that was being made is ended",
    async () => {
      const { session, job } = await startSlow("killed", { when: "after" });
      setup.server = await restart(setup.server, setup.home, "SIGKILL");
      await setup.modal.faults.clear();
      const waited = await ask(setup.server, session.id, wait());
      expect(waited.metadata.finished).toMatchObject([{ id: job.id, state: "completed", result: "done" }]);
    },
  );
});

describe("locally", () => {
  const setup = useProject();

  sandboxTest("the model of a job is asked before the session that has started it goes on", async () => {
    const { server, model } = setup;
    const isFirst = async () => {
      const from = model.requests.length;
      const session = await server.createSession();
      await turn(server, session.id, start(task("goes first", say("done"))), wait());
      const requests = model.requests.slice(from).filter(({ tools }) => tools.length > 0); // not for a title
      return requests[1]?.tools.includes("job_report") === true;
    };
    // The session waits for half a second only, in which a busy machine may not get there.
    await until(isFirst, { what: "a job comes first", everyMs: 0 });
  });

  sandboxTest("a turn that is stopped as its jobs begin leaves them at work", async () => {
    const { server } = setup;
    const session = await server.createSession();
    const { id } = session;
    const turnsEnd = server.promptAsync(id, script(start(task("goes on", shell("sleep 1; echo on"), say("done")))));
    await until(async () => (await server.children(id)).length === 1, { what: "the job has a session", everyMs: 10 });
    await server.client.session.abort({ sessionID: id });
    await turnsEnd;
    await server.whenIdle(id);
    const waited = await ask(server, id, wait());
    expect(waited.metadata.finished).toMatchObject([{ description: "goes on", state: "completed", result: "done" }]);
  });

  sandboxTest("what a job is to know is told once, in its system text or with its first command", async () => {
    const { server, model } = setup;
    const session = await server.createSession();
    const early = task("knows", shell("pwd; echo $HOME"), shell("echo knows"), say("done"));
    const [, waited] = await turn(server, session.id, start(early), wait());
    const [job] = waited?.metadata.finished ?? [];
    expect(job).toMatchObject({ state: "completed", result: "done" });
    const [first = ""] = await outputsOf(server, job, "sandbox_exec");
    const requests = ofJob(model.requests, "knows");
    const [system = ""] = systemMessagesOf(requests[0] as ModelRequest);
    const [, workdir, home] = /working directory (\S+), home (\S+)\./.exec(system) ?? [];
    expect(first).toContain(`${workdir}\n${home}\n[exit code 0]`);
    expect(requests.map((request) => systemMessagesOf(request).join())).toEqual(requests.map(() => system));
    for (const note of job?.notes ?? []) expect(`${system}\n${first}`.split(note)).toHaveLength(2);
  });
});
