import { afterAll, beforeAll, expect } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { restart } from "../support/opencode.ts";
import { commandsWith, sandboxesOf, sandboxTest, sleeps, uniqueSeconds } from "../support/sandboxes.ts";
import { call, say, script } from "../support/scripted.ts";
import { startSetup, type TestSetup } from "../support/test-setup.ts";
import { ask, message, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { TURN_EVERY_MS, until } from "../support/wait.ts";

/** One home for all: each test leaves it with its jobs ended. */
let setup: TestSetup;

beforeAll(async () => {
  setup = await startSetup({ maxRunningJobs: 2 });
});

afterAll(async () => {
  await setup?.stop();
});

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  sandboxTest(
    `after ${signal} answers for finished jobs, forks snapshots, resumes interrupted jobs with their files and starts queued ones`,
    async () => {
      const session = await setup.server.createSession();
      const seconds = uniqueSeconds();
      const finishes = task(
        "finishes",
        shell("echo base > file"),
        call("sandbox_snapshot", { label: "base" }),
        say("a"),
      );
      const sleeper = (name: string) =>
        task(name, shell(`echo ${name} > file; sleep ${seconds}`, { timeout_seconds: 900 }), say("slept"));
      await turn(setup.server, session.id, start(finishes), wait());
      await until(() => sandboxesOf(setup.home).length === 0, { what: "the first is parked" });
      const tasks = [sleeper("one"), sleeper("two"), task("queued", shell("echo ran"), say("went on"))];
      const { metadata } = await ask(setup.server, session.id, start(...tasks));
      const [one, two, queued] = metadata.jobs.map(({ id }) => id) as [string, string, string];
      await until(() => sandboxesOf(setup.home).length === 2, { what: "two have sandboxes" });
      await until(() => sleeps(seconds), { what: "they sleep" });
      await until(
        async () => {
          const { jobs } = (await ask(setup.server, session.id, status(one, two))).metadata;
          return jobs.every(({ tool }) => tool === "sandbox_exec");
        },
        { what: "both run their command", everyMs: TURN_EVERY_MS },
      );
      await setup.server.promptAsync(session.id, script(wait(), say("never said")));
      await until(() => boards(session.id), { what: "the orchestrator waits and shows its board" });

      setup.server = await restart(setup.server, setup.home, signal);
      await until(() => commandsWith(seconds).length === 0, { what: "no command outlives its server" });
      const { server, model } = setup;
      const { jobs } = (await ask(server, session.id, status())).metadata;
      const [done, ...others] = jobs;
      expect(done).toMatchObject({ state: "completed", result: "a", sandbox: "parked" });
      expect(others.map(({ id, turns }) => [id, turns])).toEqual([
        [one, 1],
        [two, 1],
        [queued, expect.any(Number)],
      ]);
      expect(JSON.stringify(model.requests.at(-1)?.messages)).not.toContain("● **"); // the board it died with

      const went = await ask(server, session.id, wait({ jobs: [one, two, queued] }));
      expect(went.metadata.finished.map(({ state, result, turns }) => [state, result as string, turns])).toEqual([
        ["completed", "slept", 1],
        ["completed", "slept", 1],
        ["completed", "went on", 1],
      ]);
      expect(went.metadata.finished[0]?.sessionID).toBe(others[0]?.sessionID as string);

      const read = script(shell("cat file"), say("read"));
      const fork = { ...task("fork", shell("cat file"), say("forked")), from: "base" };
      const answers = await turn(
        server,
        session.id,
        message(done?.id as string, read),
        message(one, read),
        start(fork),
        wait(),
      );
      const finished = answers.at(-1)?.metadata.finished ?? [];
      expect(finished.map(({ state, result }) => [state, result as string])).toEqual([
        ["completed", "read"],
        ["completed", "read"],
        ["completed", "slept"],
        ["completed", "went on"],
        ["completed", "forked"],
      ]);
      expect(finished[0]?.sessionID).toBe(done?.sessionID as string);
      expect((await outputsOf(server, finished[0], "sandbox_exec")).at(-1)).toBe("base\n[exit code 0]");
      const parts = await server.toolParts(finished[1]?.sessionID as string, "sandbox_exec");
      expect(parts.at(-1)?.state).toMatchObject({ output: "one\n[exit code 0]" });
      expect(await outputsOf(server, finished[4], "sandbox_exec")).toEqual(["base\n[exit code 0]"]);
      await until(() => sandboxesOf(setup.home).length === 0, { what: "every sandbox is given up" });
      expect((await ask(server, session.id, status())).metadata.pool).toMatchObject({ running: 0, queued: 0 });
    },
  );
}

const boards = async (sessionID: string) =>
  (await setup.server.messages(sessionID))
    .flatMap(({ parts }) => parts)
    .some((part) => part.type === "text" && part.text.includes("● **"));

sandboxTest("resumes running jobs after a configuration reload", async () => {
  const { server, home } = setup;
  const session = await server.createSession();
  const seconds = uniqueSeconds();
  const sleeper = task("sleeps", shell(`echo kept > file; sleep ${seconds}`, { timeout_seconds: 900 }), say("slept"));
  const ofRun = uniqueSeconds();
  const tries = `echo x >> log; [ "$(wc -l < log)" -ge 3 ] && exec wc -l < log; sleep ${ofRun}`;
  const { metadata } = await ask(server, session.id, start(sleeper, { description: "tries", command: tries }));
  const [id = "", run = ""] = metadata.jobs.map((job) => job.id);
  await until(() => sleeps(seconds), { what: "it sleeps" });
  for (const _ of ["a reload", "another"]) {
    await until(() => sleeps(ofRun), { what: "the run's command has begun" });
    const since = server.events.all.length;
    await server.client.instance.dispose();
    await server.events.waitFor((event) => event.type === "server.connected", { what: "it is back", since });
  }
  await until(() => commandsWith(seconds).length === 0, { what: "its command has ended" });
  const [counted] = (await ask(server, session.id, wait({ jobs: [run] }))).metadata.finished;
  expect(counted).toMatchObject({ state: "completed", result: "3" });
  expect(counted?.attempts).toBeUndefined();
  const back = script(shell("cat file"), say("back"));
  const [, waited] = await turn(server, session.id, message(id, back), wait({ jobs: [id] }));
  expect(waited?.metadata.finished).toMatchObject([{ id, state: "completed", result: "back", turns: 2 }]);
  const parts = await server.toolParts(waited?.metadata.finished[0]?.sessionID as string, "sandbox_exec");
  expect(parts.at(-1)?.state).toMatchObject({ output: "kept\n[exit code 0]" });
  expect(existsSync(join(home.stateDir, "sessions", `${session.id}.db`))).toBe(true);
});

sandboxTest("what reaches OpenCode while it reloads leaves the jobs of then and later an agent", async () => {
  const { server } = setup;
  const session = await server.createSession();
  const other = await server.createSession();
  for (const reach of [
    async () => void (await server.client.app.agents()),
    async () => void (await turn(server, other.id, start(task("new", say("done"))))),
  ]) {
    const seconds = uniqueSeconds();
    await ask(
      server,
      session.id,
      start(task("old", shell(`sleep ${seconds}`, { timeout_seconds: 900 }), say("went on"))),
    );
    await until(() => sleeps(seconds), { what: "it sleeps" });
    await server.client.instance.dispose(); // answers before it begins
    await reach();
    const { finished } = (await ask(server, session.id, wait())).metadata;
    expect(finished.at(-1)).toMatchObject({ description: "old", state: "completed", result: "went on" });
  }
  const { finished } = (await ask(server, other.id, wait())).metadata;
  expect(finished).toMatchObject([{ description: "new", state: "completed", result: "done" }]);
});

sandboxTest(
  "goes on with running, queued and unheard jobs by itself after a reload, though nobody uses the session",
  async () => {
    const { server, home, model } = setup;
    const session = await server.createSession();
    const seconds = uniqueSeconds();
    const sleeper = (name: string) =>
      task(name, shell(`echo ${name} > file; sleep ${seconds}`, { timeout_seconds: 900 }), say(`${name} went on`));
    const queued = task("queued", shell("echo ran"), say("queued went on"));
    await ask(server, session.id, start(sleeper("one"), sleeper("two"), queued));
    await until(() => commandsWith(seconds).length >= 2, { what: "two sleep" });
    await server.whenIdle(session.id);
    // From here on nothing asks for this project: even a stream of its events would create an instance.
    await server.events.close();
    const since = model.requests.length;
    const { origin } = new URL(server.url);
    const reloaded = await fetch(`${origin}/config?directory=${encodeURIComponent(home.project)}`, {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ username: "reloaded" }),
    });
    expect(reloaded.status).toBe(200);
    await server.client.app.agents(); // the instance that ends answers still, and leaves them to the next one
    const seen = () => model.requests.slice(since).map(({ messages }) => JSON.stringify(messages.at(-1)?.content));

    await until(() => seen().filter((text) => text.includes("OpenCode ended while you were")).length === 2, {
      what: "both were told that their command broke off",
      seen,
    });
    await until(() => seen().some((text) => text.includes("[parallel agents]") && text.includes("queued went on")), {
      what: "the orchestrator was told",
      seen,
    });
  },
);
