import { expect } from "bun:test";
import type { ModelReply } from "../support/model-protocol.ts";
import { HOLD, heldFrom, holders, mostAtOnce, openGates, sandboxesOf, sandboxTest } from "../support/sandboxes.ts";
import { say, script } from "../support/scripted.ts";
import { startSetupIn } from "../support/test-setup.ts";
import { ask, message, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

const setup = useProject({ maxRunningJobs: 3 });

const held = (name: string) => task(name, shell(HOLD), say(`${name} is through`));

const held3 = async (sessionID: string) => {
  const { server, home } = setup;
  const { metadata } = await ask(server, sessionID, start(held("a"), held("b"), held("c")));
  await until(() => holders(home).length === 3, { what: "all three hold" });
  const { jobs } = (await ask(server, sessionID, status())).metadata;
  expect(jobs.map(({ id }) => id)).toEqual(metadata.jobs.map(({ id }) => id));
  return jobs;
};

/** Resolves when the session's model waits in agents_wait. */
const isWaiting = (sessionID: string) =>
  until(
    async () =>
      (await setup.server.toolParts(sessionID, "agents_wait")).some(({ state }) => state.status === "running"),
    { what: "the orchestrator waits" },
  );

/** What people see of the jobs in the conversation. */
const viewsIn = async (sessionID: string) =>
  (await setup.server.messages(sessionID)).flatMap(({ parts }) =>
    parts.flatMap((part) => (part.type === "text" && part.ignored ? part.text : [])),
  );

sandboxTest("queues jobs beyond the limit, says what each one waits for, and never exceeds the limit", async () => {
  const own = await startSetupIn(setup, { maxRunningJobs: 2 });
  const { server, home } = own;
  try {
    const session = await server.createSession();
    await ask(server, session.id, start(...[1, 2, 3, 4, 5].map((n) => held(`job ${n}`))));
    await until(() => holders(home).length === 2, { what: "two hold" });
    const { metadata, output } = await ask(server, session.id, status());
    expect(metadata.pool).toMatchObject({ running: 2, queued: 3, limit: 2 });
    expect(metadata.jobs.map(({ state }) => state)).toEqual(["running", "running", "queued", "queued", "queued"]);
    const reasons = [
      "waiting for a running slot (2 of 2 in use)",
      "waiting for a running slot (2 of 2 in use, behind 1 queued job)",
      "waiting for a running slot (2 of 2 in use, behind 2 queued jobs)",
    ];
    expect(metadata.jobs.slice(2).map(({ reason }) => reason as string)).toEqual(reasons);
    expect(metadata.jobs.slice(2).map(({ queuePosition }) => queuePosition as number)).toEqual([1, 2, 3]);
    for (const reason of reasons) expect(output).toContain(reason);

    const waiting = ask(server, session.id, wait());
    let done = false;
    void waiting.then(() => {
      done = true;
    });
    let most = 0;
    await until(
      () => {
        const now = holders(home);
        most = Math.max(most, now.length);
        openGates(home, now.slice(0, 1));
        return done;
      },
      { what: "all have been let through", everyMs: 20 },
    );
    const { finished } = (await waiting).metadata;
    expect(finished.map(({ state }) => state)).toEqual(Array(5).fill("completed"));
    const outputs = await Promise.all(finished.map((job) => outputsOf(server, job, "sandbox_exec")));
    expect(mostAtOnce(outputs.map(([text = ""]) => heldFrom(text)))).toBe(2);
    expect(most).toBe(2);
  } finally {
    await own.stop();
  }
});

sandboxTest(
  "agents_wait returns when one job, a number of jobs or all jobs have ended, or at its time limit",
  async () => {
    const { server, home } = setup;
    const session = await server.createSession();
    const [a, b, c] = await held3(session.id);
    const names = (jobs: readonly { description: string }[]) => jobs.map(({ description }) => description);

    const timedOut = await ask(server, session.id, wait({ timeout_seconds: 0.1 }));
    expect(timedOut.metadata).toMatchObject({ reason: "timeout", finished: [] });
    expect(names(timedOut.metadata.pending)).toEqual(["a", "b", "c"]);
    expect(timedOut.output).toContain("the jobs go on");

    const any = ask(server, session.id, wait({ until: "any" }));
    await isWaiting(session.id);
    openGates(home, [b?.sandboxID as string]);
    const first = (await any).metadata;
    expect([first.reason, names(first.finished), names(first.pending)]).toEqual(["satisfied", ["b"], ["a", "c"]]);

    const two = ask(server, session.id, wait({ until: 2 }));
    await isWaiting(session.id);
    openGates(home, [c?.sandboxID as string]);
    const second = (await two).metadata;
    expect([second.reason, names(second.finished), names(second.pending)]).toEqual(["satisfied", ["b", "c"], ["a"]]);

    const named = (await ask(server, session.id, wait({ jobs: [c?.id, b?.id] }))).metadata;
    expect([named.reason, names(named.finished), named.pending]).toEqual(["satisfied", ["c", "b"], []]);
    openGates(home, [a?.sandboxID as string]);
    const all = await ask(server, session.id, wait({ until: 99 })); // more than there are: all of them
    expect([all.metadata.reason, names(all.metadata.finished)]).toEqual(["satisfied", ["a", "b", "c"]]);
    await until(() => sandboxesOf(home).length === 0, { what: "the sandboxes are given up" });
  },
);

sandboxTest(
  "keeps jobs running when their orchestrator is stopped, and returns their results at its next wait",
  async () => {
    const { server, home, model } = setup;
    const session = await server.createSession();
    const jobs = await held3(session.id);
    await server.promptAsync(session.id, script(wait(), say("never said")));
    await isWaiting(session.id);
    await server.client.session.abort({ sessionID: session.id });
    await server.whenIdle(session.id);
    await until(async () => (await viewsIn(session.id)).some((text) => text.startsWith("3 running\n")), {
      what: "the list of the jobs stays",
    });
    const goOn = async () => (await viewsIn(session.id)).filter((text) => text.startsWith("3 jobs go on."));
    await until(async () => (await goOn()).length > 0, { what: "the user is told that the jobs go on" });
    expect(holders(home)).toHaveLength(3);

    openGates(home);
    const { metadata, output } = await ask(server, session.id, wait());
    expect(metadata).toMatchObject({ reason: "satisfied", pending: [] });
    expect(metadata.finished.map(({ id, result }) => [id, result as string])).toEqual(
      jobs.map(({ id, description }) => [id, `${description} is through`]),
    );
    expect(output).toContain("a is through");
    expect(await goOn()).toHaveLength(1);
    expect(JSON.stringify(model.requests.map(({ raw }) => raw))).not.toContain("jobs go on. Ask");
    expect(model.errors).toEqual([]);
  },
);

sandboxTest("ends its wait at once when the user writes, in whatever way, and not for a notice", async () => {
  const own = await startSetupIn(setup, {}, { ".opencode/command/poke.md": "$ARGUMENTS" });
  const { server, home, model } = own;
  try {
    const session = await server.createSession();
    await ask(server, session.id, start(held("a"), held("b")));
    await until(() => holders(home).length === 2, { what: "both hold" });
    const { jobs } = (await ask(server, session.id, status())).metadata;
    const [a, b] = jobs.map(({ id }) => id);
    const waits = async () => (await server.toolParts(session.id, "agents_wait")).map(({ state }) => state);
    const waitsAgain = (count: number) =>
      until(async () => (await waits())[count]?.status === "running", { what: `wait ${count} is under way` });
    const ways = [
      (text: string) => server.promptAsync(session.id, text),
      async (text: string) => {
        const url = `data:text/plain;base64,${Buffer.from(text).toString("base64")}`;
        const parts = [{ type: "file" as const, mime: "text/plain", filename: "note.txt", url }];
        await server.client.session.promptAsync({ sessionID: session.id, parts });
      },
      async (text: string) => {
        void server.client.session.command({ sessionID: session.id, command: "poke", arguments: text });
      },
    ];
    await server.promptAsync(session.id, script(wait()));
    for (const [count, write] of ways.entries()) {
      await waitsAgain(count);
      // The model reads the message at once, and waits again.
      await write(script(wait(count === 2 ? { jobs: [a] } : { until: "any" }), say("read")));
      await waitsAgain(count + 1);
      expect((await waits())[count]).toMatchObject({
        status: "completed",
        output: expect.stringContaining("the user wrote a message"),
        metadata: { reason: "attention", finished: [], pending: [{ id: a }, { id: b }] },
      });
    }
    openGates(home, [jobs[1]?.sandboxID as string]);
    await until(async () => JSON.stringify(await server.messages(session.id)).includes("A job has ended"), {
      what: "the session is told of the other job",
    });
    expect((await waits()).at(-1)?.status).toBe("running");
    openGates(home);
    await server.whenIdle(session.id);
    expect((await waits()).at(-1)).toMatchObject({ metadata: { reason: "satisfied", finished: [{ id: a }] } });
    expect(model.errors).toEqual([]);
  } finally {
    await own.stop();
  }
});

sandboxTest("shows the state of its jobs during agents_wait, and leaves their list to people alone", async () => {
  const { server, home, model } = setup;
  const session = await server.createSession();
  await ask(server, session.id, start(held("watched")));
  const waiting = turn(server, session.id, wait());
  const board = await until(
    async () =>
      (await server.messages(session.id))
        .flatMap(({ parts }) => parts)
        .find((part) => part.type === "text" && part.text.includes("**watched** running · sandbox_exec")),
    { what: "the board is shown" },
  );
  const shown = async () => (await server.toolParts(session.id, "agents_wait"))[0]?.state as { title?: string };
  await until(async () => (await shown())?.title !== undefined, { what: "the wait has a title" });
  expect(await shown()).toMatchObject({ status: "running", title: "1 running" });
  openGates(home);
  await waiting;
  const parts = (await server.messages(session.id)).flatMap((one) => one.parts);
  expect(parts.find(({ id }) => id === board.id)).toMatchObject({
    text: expect.stringMatching(/^1 completed · \S+\n\n- ✓ \*\*watched\*\* completed · \d+ s · \S+$/),
  });
  const [ended] = await server.toolParts(session.id, "agents_wait");
  expect(ended?.state).toMatchObject({ status: "completed", title: "1 completed" });

  const fork = await server.client.session.fork({ sessionID: session.id });
  const forkID = fork.data?.id as string;
  // The next request is the same with them and, once they are deleted, without.
  const asked = async () => {
    await server.prompt(session.id, script(say("noted")));
    return JSON.stringify((model.requests.at(-1)?.raw as { messages: unknown[] } | undefined)?.messages ?? []);
  };
  const withViews = await asked();
  for (const { id, messageID, type } of parts.filter((one) => one.type === "text" && one.ignored))
    if (type === "text") await server.client.part.delete({ sessionID: session.id, messageID, partID: id });
  expect(await viewsIn(session.id)).toEqual([]);
  expect((await asked()).startsWith(withViews.slice(0, -1))).toBe(true);

  // Neither requests of a fork, nor a summary and a title have a word of it.
  expect((await viewsIn(forkID)).some((text) => text.includes("**watched**"))).toBe(true);
  for (const id of [session.id, forkID]) {
    await server.prompt(id, script(say("and now?")));
    await server.client.session.summarize({ sessionID: id, providerID: "mock", modelID: "m1" });
  }
  expect(JSON.stringify(model.requests.map(({ raw }) => raw))).not.toContain("**watched**");
});

sandboxTest("a wait in one message with the start of a job, or with a message to it, is about that job", async () => {
  const { server } = setup;
  const session = await server.createSession();
  const together = (...replies: ModelReply[]): ModelReply => ({
    toolCalls: replies.flatMap((reply) => ("toolCalls" in reply ? (reply.toolCalls ?? []) : [])),
  });
  const first = await turn(server, session.id, together(start(task("together", say("first"))), wait()));
  expect(first[1]?.metadata.finished).toMatchObject([{ result: "first" }]);
  const id = first[0]?.metadata.jobs[0]?.id as string;
  const second = await turn(server, session.id, together(message(id, script(say("second"))), wait({ jobs: [id] })));
  expect(second[1]?.metadata.finished).toMatchObject([{ result: "second" }]);
});
