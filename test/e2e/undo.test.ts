import { expect } from "bun:test";
import { must } from "../support/opencode.ts";
import { HOLD, holders, openGates, sandboxTest } from "../support/sandboxes.ts";
import { say, script } from "../support/scripted.ts";
import { ask, message, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { pause, until } from "../support/wait.ts";

/* What the user does to the session that jobs were started from: undo, redo, fork, archive. */

const setup = useProject({ maxRunningJobs: 1 });
const calls = () => setup.server.client.session;

/** Starts jobs of which the first holds; returns the session and the message that started them. */
async function delegate(...words: string[]) {
  const { server, home } = setup;
  const { id: sessionID } = await server.createSession({ title: `About ${words[0]}` });
  await server.prompt(sessionID, script(say("hello")));
  const tasks = words.map((word, index) =>
    task(`job ${word}`, shell(index === 0 ? HOLD : "true"), say(`result ${word}`)),
  );
  const { metadata } = await ask(server, sessionID, start(...tasks));
  await until(() => holders(home).length === 1, { what: "the first holds" });
  const message = (await server.messages(sessionID)).findLast(({ info }) => info.role === "user");
  return { sessionID, messageID: message?.info.id as string, jobs: metadata.jobs.map(({ id }) => id) };
}

const idsOf = async (sessionID: string) => (await setup.server.messages(sessionID)).map(({ info }) => info.id);
const textOf = async (sessionID: string) => JSON.stringify(await setup.server.messages(sessionID));
const isTold = (sessionID: string, word: string) =>
  until(async () => (await textOf(sessionID)).includes(`\\nresult ${word}\\n`), { what: `${word} is told` });
const toasts = () =>
  setup.server.events.all.flatMap((event) => (event.type === "tui.toast.show" ? event.properties.message : []));
const toasted = (...words: string[]) =>
  until(() => toasts().find((toast) => words.every((word) => toast.includes(word))), {
    what: words.join(),
    seen: toasts,
  });
/** Its own conversation says so: no toast does while other jobs of its session are left. */
const ended = (sessionID: string, word: string) =>
  until(
    async () => {
      const children = await setup.server.children(sessionID);
      const texts = await Promise.all(children.map(({ id }) => textOf(id)));
      return texts.some((text) => text.includes(`"result ${word}"`));
    },
    { what: `${word} ends` },
  );
/** Longer than the plugin takes to tell an end. */
const SOON_MS = 2_000;

sandboxTest(
  "an undone session gets no message, its queued job does not start, and after a redo all is as before",
  async () => {
    const { sessionID, messageID } = await delegate("alpha", "beta");
    must(await calls().revert({ sessionID, messageID }));
    const toast = await toasted("undone started", "job alpha");
    expect(toast).toContain("do not start");
    const before = await idsOf(sessionID);
    openGates(setup.home);
    await ended(sessionID, "alpha");
    await pause(SOON_MS);
    expect(await idsOf(sessionID)).toEqual(before);
    expect(holders(setup.home)).toEqual([]);
    must(await calls().unrevert({ sessionID }));
    await isTold(sessionID, "alpha");
    await isTold(sessionID, "beta");
  },
);

sandboxTest("what was undone for good is told to the user alone, once", async () => {
  const { server, home, model } = setup;
  const { sessionID, messageID, jobs } = await delegate("gamma", "delta");
  must(await calls().revert({ sessionID, messageID }));
  await toasted("undone started", "job gamma");
  await server.prompt(sessionID, script(say("something else")));
  const toast = await toasted("are gone", "job gamma");
  expect(toast).toContain(jobs[0] as string);
  const since = model.requests.length;
  openGates(home);
  await ended(sessionID, "gamma");
  await pause(SOON_MS);
  expect(model.requests.slice(since).filter(({ tools }) => tools.includes("agents_cancel"))).toEqual([]);
  await server.prompt(sessionID, script(say("and on")));
  expect(await textOf(sessionID)).not.toContain("result gamma");
  expect(toasts().filter((text) => text.includes("are gone") && text.includes("gamma")).length).toBe(1);
  const { metadata } = await ask(server, sessionID, status());
  expect(metadata.jobs.map(({ state }) => state)).toEqual(["completed", "cancelled"]);
  expect(metadata.jobs[0]?.notes?.join()).toContain("undid the message");
});

sandboxTest("an archived session is not woken, and is told when it is used again", async () => {
  const { server, home, model } = setup;
  const { sessionID } = await delegate("epsilon");
  must(await calls().update({ sessionID, time: { archived: Date.now() } }));
  const since = model.requests.length;
  openGates(home);
  await toasted("job epsilon: completed"); // the last of a session that is not woken
  await pause(SOON_MS);
  expect(model.requests.slice(since).filter(({ tools }) => tools.includes("agents_cancel"))).toEqual([]);
  await server.prompt(sessionID, script(say("back")));
  await isTold(sessionID, "epsilon");
});

sandboxTest("a fork is told whose jobs it asks for, and a stranger is not", async () => {
  const { server, home } = setup;
  const { sessionID, jobs } = await delegate("zeta");
  const fork = must(await calls().fork({ sessionID }));
  const stranger = await server.createSession();
  const [inFork, waited, listed, elsewhere] = [
    await ask(server, fork.id, wait({ jobs })),
    await ask(server, fork.id, wait()),
    await ask(server, fork.id, status()),
    await ask(server, stranger.id, wait({ jobs })),
  ];
  expect(inFork.metadata.error).toMatchObject({ code: "not_found" });
  for (const output of [inFork.output, waited.output, listed.output]) {
    expect(output).toContain(sessionID);
    expect(output).toContain("About zeta");
  }
  expect(elsewhere.metadata.error).toMatchObject({ code: "not_found" });
  expect(elsewhere.output).not.toContain(sessionID);
  expect(elsewhere.output).not.toContain("zeta");
  openGates(home);
  await isTold(sessionID, "zeta");
});

sandboxTest("a job's own session is sent nothing while it has undone messages, or when it is deleted", async () => {
  const { server } = setup;
  const { id: sessionID } = await server.createSession();
  const [, waited] = await turn(server, sessionID, start(task("job eta", say("result eta"))), wait());
  const [job] = waited?.metadata.finished ?? [];
  const inJob = { sessionID: job?.sessionID as string };
  const before = await idsOf(inJob.sessionID);
  must(await calls().revert({ ...inJob, messageID: before[1] as string }));
  const asks = message(job?.id as string, script(say("result eta again")));
  const refused = await ask(server, sessionID, asks);
  expect(refused.metadata.error).toMatchObject({ code: "prompt_failed" });
  expect(refused.output).toContain("undone");
  expect(await idsOf(inJob.sessionID)).toEqual(before);
  must(await calls().unrevert(inJob));
  const [, again] = await turn(server, sessionID, asks, wait());
  expect(again?.metadata.finished).toMatchObject([{ state: "completed", result: "result eta again" }]);
  must(await calls().delete(inJob));
  const [late, kept] = await turn(server, sessionID, asks, status(job?.id as string));
  expect(late?.metadata.error).toMatchObject({ code: "prompt_failed" });
  expect(late?.output).toContain("was deleted");
  expect(kept?.metadata.jobs).toMatchObject([{ state: "completed", result: "result eta again" }]);
});
