import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ModelReply, startModelServer } from "../support/model-server.ts";
import { must, restart, startServe } from "../support/opencode.ts";
import { createHome } from "../support/opencode-home.ts";
import { runOnce } from "../support/opencode-run.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { call, say, script, scriptedModel } from "../support/scripted.ts";
import { PACKAGE, startSetup } from "../support/test-setup.ts";
import { ask, message, shell, start, task, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

sandboxTest("jobs run in an instance of their own, without snapshots, and wake there after a kill", async () => {
  const mcp = { probe: { type: "local", command: ["sh", "-c", 'echo started >> "$HOME/mcp"'] } };
  const setup = await startSetup({ provider: "local", jobSessions: "own" }, { snapshot: true, config: { mcp } });
  const { home } = setup;
  const session = await setup.server.createSession();
  const first = start(task("one", shell("echo hi > file"), say("first")));
  const [, waited] = await turn(setup.server, session.id, first, wait());
  const [job] = waited?.metadata.finished ?? [];
  expect(job).toMatchObject({ state: "completed", result: "first" });
  const sessionID = job?.sessionID ?? "";
  const child = must(await setup.server.client.session.get({ sessionID }));
  expect(child.directory).toBe(join(home.project, ".git"));
  const snapshotsOf = async (id: string) =>
    (await setup.server.messages(id)).flatMap(({ parts }) =>
      parts.flatMap((part) => (part.type === "step-start" ? [part.snapshot ?? "none"] : [])),
    );
  expect(new Set(await snapshotsOf(sessionID))).toEqual(new Set(["none"]));
  expect(await snapshotsOf(session.id)).not.toContain("none");
  expect(home.git("status", "--porcelain")).toBe("");
  expect(readFileSync(join(home.home, "mcp"), "utf8")).toBe("started\n"); // once, for the user's own instance

  setup.server = await restart(setup.server, home, "SIGKILL");
  await ask(setup.server, session.id, message(job?.id ?? "", script(shell("cat file"), say("second"))));
  const again = await ask(setup.server, session.id, wait());
  expect(again.metadata.finished).toMatchObject([{ id: job?.id, state: "completed", result: "second", sessionID }]);
  expect(new Set(await snapshotsOf(sessionID))).toEqual(new Set(["none"]));
  await setup.stop();
});

sandboxTest("a job in an instance of its own goes on when OpenCode reloads its configuration", async () => {
  const setup = await startSetup({ provider: "local", jobSessions: "own" }, { snapshot: true });
  const { server, model, home } = setup;
  const session = await server.createSession();
  await ask(server, session.id, start(task("one", shell("sleep 600", { timeout_seconds: 900 }), say("it went on"))));
  const seen = () => model.requests.map(({ messages }) => JSON.stringify(messages.at(-1)?.content));
  await until(async () => (await server.messages(session.id)).length > 0 && model.requests.length >= 3, {
    what: "the job's model was asked",
    seen,
  });
  await server.whenIdle(session.id);
  await server.events.close();
  const { origin } = new URL(server.url);
  await fetch(`${origin}/config?directory=${encodeURIComponent(home.project)}`, {
    method: "PATCH",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ username: "reloaded" }),
  });
  await until(() => seen().some((text) => text.includes("[parallel agents]") && text.includes("it went on")), {
    what: "the orchestrator was told",
    seen,
  });
  await setup.stop();
});

sandboxTest(
  "the model of a job in an instance of its own is stopped when its orchestrator's session is deleted",
  async () => {
    const setup = await startSetup({ provider: "local", jobSessions: "own" }, { snapshot: true });
    const { server, model } = setup;
    const session = await server.createSession();
    await ask(server, session.id, start(task("one", { hang: true })));
    await until(() => model.requests.length >= 3, { what: "the job's model was asked" });
    expect(model.disconnected).toEqual([]);
    must(await server.client.session.delete({ sessionID: session.id }));
    await until(() => model.disconnected.length === 1, { what: "the job's model is asked no more" });
    await setup.stop();
  },
);

/** `opencode run` with a model that starts one job in the first turn, and sends it a message in the second. */
async function opencodeRun(files: Record<string, string>) {
  const work = script(shell("cat file; echo hi > file"), say("first"));
  const plays: Record<string, (jobID: string) => ModelReply[]> = {
    begin: () => [start({ description: "one", prompt: work }), wait(), say("back")],
    again: (jobID) => [message(jobID, script(shell("cat file"), say("second"))), wait(), say("back again")],
  };
  const model = await startModelServer((request) => {
    const play = plays[request.lastUser.replaceAll('"', "").trim()];
    const [jobID = ""] = /job_[a-z0-9]{12}/.exec(JSON.stringify(request.messages)) ?? [];
    return play?.(jobID)[request.step] ?? scriptedModel(request);
  });
  const home = createHome({ modelUrl: model.url, plugins: [PACKAGE], files, snapshot: true });
  const run = async (prompt: string, ...args: string[]) => {
    const { events, exitCode, stderr } = await runOnce(home, prompt, { args });
    expect([exitCode, stderr.includes("Error")]).toEqual([0, false]);
    const waited = events.find(({ part }) => part?.tool === "agents_wait")?.part?.state?.output;
    return { sessionID: events[0]?.sessionID ?? "", waited };
  };
  const stop = async () => {
    await home.remove();
    await model.stop();
  };
  return { home, model, run, stop };
}

sandboxTest(
  "where nobody else follows, jobs run in an instance of their own; a server, and a run after it, wake them where they are",
  async () => {
    const { home, run, stop } = await opencodeRun({});
    const { sessionID, waited } = await run("begin");
    expect(waited).toContain("first");

    const server = await startServe(home);
    const [child] = await server.children(sessionID);
    expect(child?.directory).toBe(join(home.project, ".git"));
    const { jobs } = (await ask(server, sessionID, call("agents_status", {}))).metadata;
    await ask(
      server,
      sessionID,
      message(jobs[0]?.id ?? "", script(shell("sleep 5; cat file"), say("from the server"))),
    );
    const woken = await ask(server, sessionID, wait());
    expect(woken.metadata.finished).toMatchObject([{ state: "completed", result: "from the server" }]);
    const [, other] = await turn(server, sessionID, start(task("two", say("shared"))), wait());
    const ofServer = other?.metadata.finished.find(({ result }) => result === "shared");
    const shared = must(await server.client.session.get({ sessionID: ofServer?.sessionID ?? "" }));
    expect(shared.directory).toBe(home.project);
    await server.stop();

    const again = await run("again", "--session", sessionID);
    expect(again.waited).toContain("second");
    await stop();
  },
);

sandboxTest("jobs run in the instance that is open where the user has other plugins", async () => {
  const other =
    'export const Other = async ({ directory }) => { await import("node:fs").then(({ readFileSync }) => readFileSync(directory + "/rules")); return {}; };';
  const { home, run, stop } = await opencodeRun({ ".opencode/plugin/other.js": other, rules: "be kind" });
  const { sessionID, waited } = await run("begin");
  expect(waited).toContain("first");
  const server = await startServe(home);
  const [child] = await server.children(sessionID);
  expect(child?.directory).toBe(home.project);
  await server.stop();
  await stop();
});
