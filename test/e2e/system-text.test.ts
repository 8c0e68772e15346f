import { beforeEach, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ModelRequest } from "../support/model-server.ts";
import { must } from "../support/opencode.ts";
import { HOLD, holders, openGates, sandboxTest } from "../support/sandboxes.ts";
import { say, script, scriptedModel, systemMessagesOf } from "../support/scripted.ts";
import { ask, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

/** Another plugin of the project; what it does to system texts is in a file. */
const OTHER_PLUGIN = `
import { readFileSync } from "node:fs";
export default { id: "other", server: async ({ directory }) => ({
  "experimental.chat.system.transform": async (_input, { system }) => {
    const does = readFileSync(directory + "/.opencode/does", "utf8");
    if (system.some((text) => text.includes("title generator"))) return;
    if (does === "pushes") system.push("pushed one", "pushed two");
    if (does === "replaces") system.splice(0, system.length, "You are a pirate.");
    if (does === "empties") system.length = 0;
  },
}) };`;

const lead = (permission: object) => ({ mode: "primary", prompt: "You lead.", permission });
const setup = useProject(
  {},
  {
    files: { ".opencode/plugin/other.js": OTHER_PLUGIN, ".opencode/does": "nothing" },
    config: {
      agent: {
        silent: lead({ agents_start: "deny" }),
        barred: lead({ "agents_*": "deny" }),
        reader: lead({ "*": "deny", read: "allow" }),
        delegate: lead({ "*": "deny", "agents_*": "allow" }),
        shy: { mode: "primary", hidden: true, prompt: "You hide." },
      },
    },
  },
);
const other = (does: string) => writeFileSync(join(setup.home.project, ".opencode/does"), does);
beforeEach(() => {
  other("nothing");
  setup.model.use(scriptedModel);
});

const BLOCK = "# Parallel agents";
const WORKER = "You are an agent working alone on one delegated job.";
const isOfJob = ({ tools }: ModelRequest) => tools.includes("sandbox_exec");
const isOfOrchestrator = ({ tools }: ModelRequest) => tools.includes("agents_cancel");
const timesIn = (request: ModelRequest | undefined, text: string) =>
  JSON.stringify(request?.raw).split(text).length - 1;

/** Requests that arrive while `act` runs. */
async function requestsDuring(act: () => Promise<unknown>): Promise<ModelRequest[]> {
  const before = setup.model.requests.length;
  await act();
  return setup.model.requests.slice(before);
}

sandboxTest("works with a server that refuses a second system message, for orchestrator and job", async () => {
  const { server, model } = setup;
  model.use((request) =>
    systemMessagesOf(request).length > 1
      ? { status: 400, body: { error: { message: "System message must be at the beginning." } } }
      : scriptedModel(request),
  );
  const session = await server.createSession();
  const [, waited] = await turn(server, session.id, start(task("one", shell("echo hi"), say("worked"))), wait());
  expect(waited?.metadata.finished).toMatchObject([{ state: "completed", result: "worked" }]);
  expect(model.titleRequests.flatMap(systemMessagesOf).some((text) => text.includes(BLOCK))).toBe(false);
});

sandboxTest("adds no system message where another plugin adds its own, and no text twice", async () => {
  const { server } = setup;
  other("pushes");
  const session = await server.createSession();
  const requests = await requestsDuring(() => turn(server, session.id, start(task("one", say("x"))), wait()));
  for (const request of requests) {
    expect(systemMessagesOf(request)).toHaveLength(2); // as OpenCode sends them without this plugin
    expect(systemMessagesOf(request)[1]).toBe("pushed one\npushed two");
    expect(timesIn(request, isOfJob(request) ? WORKER : BLOCK)).toBe(1);
  }
  expect(requests.filter(isOfJob)).toHaveLength(1);
});

sandboxTest("says the same to a session's model, byte for byte, whatever its jobs do", async () => {
  const { server, home } = setup;
  const session = await server.createSession();
  const requests = await requestsDuring(async () => {
    const tasks = ["a", "b", "c"].map((name) => task(name, shell(HOLD), say(`result ${name}`)));
    await turn(server, session.id, status(), start(...tasks), status());
    await until(() => holders(home).length === 3, { what: "all run" });
    await turn(server, session.id, status());
    openGates(home);
    await turn(server, session.id, wait(), status());
  });
  const own = requests.filter(isOfOrchestrator);
  expect(own.length).toBeGreaterThan(7);
  expect(new Set(own.map(({ system }) => system)).size).toBe(1);
  expect(new Set(own.map(({ raw }) => JSON.stringify((raw as { tools: unknown }).tools))).size).toBe(1);
  const bySibling = requests.filter(isOfJob);
  expect(bySibling).toHaveLength(6);
  expect(new Set(bySibling.map(({ system }) => system)).size).toBe(1);
});

sandboxTest("tells of free slots and of money where jobs are started", async () => {
  const { server } = setup;
  const session = await server.createSession();
  const [started] = await turn(server, session.id, start(task("a", say("x")), task("b", say("x"))), wait());
  const { output = "" } = started ?? {};
  expect(output).toMatch(/Pool: \d of 8 slots in use, \d queued\./);
  expect(output).toMatch(/Spent: \$[\d.]+ of \$25/);
});

sandboxTest.each(["replaces", "empties"])("a job keeps its instructions where another plugin %s", async (does) => {
  const { server, model } = setup;
  other(does);
  const session = await server.createSession();
  let notes: readonly string[] = [];
  const requests = await requestsDuring(async () => {
    const [, waited] = await turn(server, session.id, start(task("one", shell("echo hi"), say("x"))), wait());
    notes = waited?.metadata.finished[0]?.notes ?? [];
  });
  const ofJob = requests.filter(isOfJob);
  expect(ofJob).toHaveLength(2);
  for (const request of ofJob) {
    expect(timesIn(request, WORKER)).toBe(1);
    expect(systemMessagesOf(request)).toHaveLength(1);
    expect(request.system.includes("You are a pirate.")).toBe(does === "replaces");
  }
  expect(new Set(ofJob.map(({ system }) => system)).size).toBe(1);
  expect(notes).toEqual([expect.stringContaining("another plugin")]);
  expect(model.errors).toEqual([]);
});

test("tells only agents that are offered agents_start to delegate", async () => {
  const { server } = setup;
  const told = async (agent?: string) => {
    const session = await server.createSession();
    const [request] = await requestsDuring(() =>
      server.prompt(session.id, script(say("done")), agent === undefined ? {} : { agent }),
    );
    return [request?.tools.includes("agents_start"), timesIn(request, BLOCK) === 1];
  };
  expect(await told()).toEqual([true, true]);
  expect(await told("delegate")).toEqual([true, true]);
  for (const agent of ["silent", "barred", "reader"]) expect(await told(agent)).toEqual([false, false]);
});

test("a session whose own rules hide agents_start is not told to delegate", async () => {
  const { server } = setup;
  const permission = [{ permission: "agents_start", pattern: "*", action: "deny" as const }];
  const session = must(await server.client.session.create({ permission }));
  const [request] = await requestsDuring(() => server.prompt(session.id, script(say("done"))));
  expect([request?.tools.includes("agents_start"), request?.system.includes(BLOCK)]).toEqual([false, false]);
});

test("refuses agents for OpenCode's own use as the agent of a job, and names the others", async () => {
  const { server } = setup;
  const session = await server.createSession();
  const names = ["compaction", "title", "summary", "shy"];
  const { metadata } = await ask(
    server,
    session.id,
    start(...names.map((agent) => ({ ...task(agent, say("no")), agent }))),
  );
  for (const { state, error, description } of metadata.jobs) {
    expect([state, error?.code]).toEqual(["failed", "invalid_task"]);
    const [, offered = ""] = /there are: (.*)\.$/.exec(error?.message ?? "") ?? [];
    expect(offered.split(", ")).toEqual(expect.arrayContaining(["sandbox_worker", "general", "build", "delegate"]));
    expect(offered.split(", ")).not.toContain(description);
  }
});
