import { expect } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  commandsWith,
  HOLD,
  holders,
  openGates,
  sandboxesOf,
  sandboxTest,
  sleeps,
  uniqueSeconds,
} from "../support/sandboxes.ts";
import { call, say, script } from "../support/scripted.ts";
import { ask, cancel, message, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

const setup = useProject();

const snapshotsOnDisk = () => {
  const folder = join(setup.home.stateDir, "local/snapshots");
  return existsSync(folder) ? readdirSync(folder) : [];
};

sandboxTest(
  "hides a session's jobs from another session, which cannot await, message, cancel, freeze or fork them",
  async () => {
    const { server, home } = setup;
    const mine = await server.createSession();
    const { metadata } = await ask(server, mine.id, start(task("mine", shell(HOLD), say("untouched"))));
    const id = metadata.jobs[0]?.id as string;
    await until(() => holders(home).length === 1, { what: "it runs" });
    await ask(server, mine.id, call("sandbox_snapshot", { job: id, label: "mine" }));

    const other = await server.createSession();
    const answers = await turn(
      server,
      other.id,
      status(),
      status(id),
      wait({ jobs: [id] }),
      message(id, script(say("hijacked")), { interrupt: true }),
      cancel(id),
      call("sandbox_snapshot", { job: id }),
      start({ ...task("by job", say("no")), from: id }, { ...task("by label", say("no")), from: "mine" }),
      wait(),
    );
    const [empty, ...rest] = answers;
    expect(empty?.metadata).toMatchObject({ jobs: [], snapshots: [], spend: { usd: 0 } });
    for (const { metadata } of rest.slice(0, 5)) {
      expect(metadata.error).toMatchObject({
        code: "not_found",
        message: expect.stringContaining(id),
        retryable: false,
      });
    }
    const refused = rest[5]?.metadata.jobs ?? [];
    expect(refused.map(({ state, error }) => [state, error?.code as string])).toEqual(
      Array(2).fill(["failed", "invalid_task"]),
    );
    expect(refused[0]?.error?.message).toContain("names no job or snapshot of this session");

    openGates(home);
    const { finished } = (await ask(server, mine.id, wait())).metadata;
    expect(finished).toMatchObject([{ id, state: "completed", result: "untouched", turns: 1 }]);
  },
);

sandboxTest("runs the jobs of two sessions apart from each other, within one limit for the machine", async () => {
  const { server, home } = setup;
  const sessions = await Promise.all([server.createSession(), server.createSession()]);
  const started = await Promise.all(
    sessions.map(({ id }, n) => ask(server, id, start(task(`of ${n}`, shell(HOLD), say(`result ${n}`))))),
  );
  await until(() => holders(home).length === 2, { what: "both run" });
  for (const [n, { id }] of sessions.entries()) {
    const { metadata } = await ask(server, id, status());
    expect(metadata.jobs.map((job) => job.id)).toEqual([started[n]?.metadata.jobs[0]?.id as string]);
    expect(metadata.pool).toMatchObject({ running: 2, queued: 0 });
  }
  openGates(home);
  const waited = await Promise.all(sessions.map(({ id }) => ask(server, id, wait())));
  expect(waited.map(({ metadata }) => metadata.finished.map(({ result }) => result as string))).toEqual([
    ["result 0"],
    ["result 1"],
  ]);
});

sandboxTest("gives a job's model no tool of the host and no way to start agents, whatever it calls", async () => {
  const { server, home, model } = setup;
  const session = await server.createSession();
  const host = join(home.project, "made-by-job");
  writeFileSync(join(home.project, "host-secret"), "of the host");
  const tries = [
    call("bash", { command: `touch ${host}`, description: "x" }),
    call("write", { filePath: host, content: "x" }),
    call("read", { filePath: join(home.project, "host-secret") }),
    call("task", { description: "x", prompt: "x", subagent_type: "general" }),
    start(task("nested", say("no"))),
    status(),
    shell(`ls ${home.project} ${home.home} ${home.stateDir}; env; cat ${join(home.project, "host-secret")}`),
  ];
  const [, waited] = await turn(server, session.id, start(task("tries", ...tries, say("tried"))), wait());
  const job = waited?.metadata.finished[0];
  expect(job).toMatchObject({ state: "completed", result: "tried" });
  expect(existsSync(host)).toBe(false);
  const parts = (await server.messages(job?.sessionID as string)).flatMap((one) => one.parts);
  const refused = expect.stringContaining("unavailable tool");
  const names = ["bash", "write", "read", "task"];
  expect(parts.filter((part) => part.type === "tool").map(({ tool, state }) => ({ tool, ...state }))).toMatchObject([
    ...names.map((tool) => ({ tool, status: "error", error: refused })),
    { tool: "agents_start", status: "completed", output: expect.stringContaining("invalid_task") },
    { tool: "agents_status", status: "completed" },
    { tool: "sandbox_exec", status: "completed" },
  ]);
  const seen = JSON.stringify(model.requests.filter(({ tools }) => tools.includes("sandbox_exec")).at(-1)?.messages);
  expect(seen).not.toContain("of the host");
  expect(seen).not.toContain("OPENCODE");
  expect((await server.children(session.id)).length).toBe(1);
  expect(await server.children(job?.sessionID as string)).toEqual([]);
  const { jobs } = (await ask(server, session.id, status())).metadata;
  expect(jobs).toMatchObject([{ state: "completed" }, { state: "failed", error: { code: "invalid_task" } }]);
});

sandboxTest("deleting a session removes its jobs, sandboxes and snapshots, and no other session's", async () => {
  const { server, home } = setup;
  const [doomed, other] = [await server.createSession(), await server.createSession()];
  const seconds = uniqueSeconds();
  await until(() => sandboxesOf(home).length === 0, { what: "nothing of former tests is left" });
  const before = snapshotsOnDisk();
  const parks = task("parks", shell("echo x > x"), call("sandbox_snapshot", { label: "x" }), say("parked"));
  await turn(server, doomed.id, start(parks), wait());
  await until(() => sandboxesOf(home).length === 0, { what: "it is parked" });
  expect(snapshotsOnDisk().length).toBe(before.length + 2);
  await ask(server, doomed.id, start(task("sleeps", shell(`sleep ${seconds}`, { timeout_seconds: 900 }), say("no"))));
  await ask(server, other.id, start(task("stays", shell(HOLD), say("stayed"))));
  await until(() => sleeps(seconds), { what: "one sleeps" });
  await until(() => holders(home).length === 1, { what: "the other's works" });
  await server.client.session.delete({ sessionID: doomed.id });
  const file = join(home.stateDir, "sessions", `${doomed.id}.db`);
  await until(() => !existsSync(file), { what: "its store is removed" });
  expect(commandsWith(seconds)).toEqual([]);
  expect(sandboxesOf(home)).toHaveLength(1);
  expect(snapshotsOnDisk().sort()).toEqual([...before].sort());
  openGates(home);
  expect((await ask(server, other.id, wait())).metadata.finished).toMatchObject([{ result: "stayed" }]);
});
