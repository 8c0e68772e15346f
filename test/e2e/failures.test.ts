import { expect } from "bun:test";
import {
  commandsWith,
  HOLD,
  holders,
  killSandboxWith,
  openGates,
  sandboxesOf,
  sandboxTest,
  sleeps,
  uniqueSeconds,
} from "../support/sandboxes.ts";
import { say, script, scriptedModel } from "../support/scripted.ts";
import { ask, cancel, message, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

const setup = useProject({
  environments: { caged: { network: "blocked" }, impossible: { workdir: "/usr/bin" } },
});

const sleeper = (name: string, seconds: string) => {
  const sleep = shell(`cat file; echo kept > file; sleep ${seconds}`, { timeout_seconds: 900 });
  return task(name, sleep, sleep, say("slept"));
};

sandboxTest(
  "reports five different failures of a batch with their own codes, and completes the sixth job",
  async () => {
    const { server, home } = setup;
    const session = await server.createSession();
    const [lostMark, cancelMark] = [uniqueSeconds(), uniqueSeconds()];
    const { metadata } = await ask(
      server,
      session.id,
      start(
        { ...task("unknown agent", say("no")), agent: "nobody" },
        task("model refuses", { status: 400, body: { error: { message: "content policy" } } }),
        { ...task("cannot be created", say("no")), environment: "impossible" },
        sleeper("loses its sandbox", lostMark),
        sleeper("is cancelled", cancelMark),
        task("completes", shell(HOLD), say("all is well")),
      ),
    );
    const ids = metadata.jobs.map(({ id }) => id);
    for (const what of [lostMark, cancelMark]) {
      await until(() => sleeps(what), { what: "it sleeps" });
    }
    await until(() => holders(home).length === 1, { what: "the sixth works" });
    await killTwice(server.pid, lostMark);
    await ask(server, session.id, cancel(ids[4] as string));
    const five = await ask(server, session.id, wait({ until: 5 }));
    expect(five.metadata.pending).toMatchObject([
      { id: ids[5], state: "running", sandbox: "live", tool: "sandbox_exec" },
    ]);
    openGates(home);
    const { metadata: last } = await ask(server, session.id, wait());
    expect(last.finished.map(({ id }) => id)).toEqual(ids);
    expect(last.finished.map(({ state, error, result }) => [state, error?.code ?? (result as string)])).toEqual([
      ["failed", "invalid_task"],
      ["failed", "model_error"],
      ["failed", "sandbox_create_failed"],
      ["failed", "sandbox_lost"],
      ["cancelled", "cancelled"],
      ["completed", "all is well"],
    ]);
    const errors = last.finished.map(({ error }) => error);
    expect(errors[0]?.message).toContain('agent "nobody" is not configured');
    expect(errors[0]?.message).toContain("sandbox_worker");
    expect(errors[1]).toMatchObject({ retryable: false, message: expect.stringContaining("content policy") });
    expect(errors[2]).toMatchObject({ retryable: false, message: expect.stringContaining("/usr/bin") });
    const told = JSON.stringify(await server.messages(session.id)); // in answers of tools and in messages of the plugin's
    for (const error of errors.slice(0, 4)) expect(told).toContain(`${error?.code}: `);
    expect(told).toContain("cancelled by the orchestrator");
    expect(commandsWith(lostMark).concat(commandsWith(cancelMark))).toEqual([]);
    await until(() => sandboxesOf(home).length === 0, { what: "sandboxes are given up" });
    expect((await ask(server, session.id, status())).metadata.pool).toMatchObject({ running: 0, queued: 0 });
  },
);

/** Kills the sandbox, and once its job runs the script's next command in another one, that too: the job goes on once. */
async function killTwice(pid: number, mark: string): Promise<void> {
  killSandboxWith(pid, mark);
  await until(() => !sleeps(mark), { what: "it is killed" });
  await until(() => sleeps(mark), { what: "it goes on by itself" });
  killSandboxWith(pid, mark);
}

sandboxTest(
  "keeps the files of a job whose sandbox was lost, and wakes it and a failed job with a message",
  async () => {
    const { server, home } = setup;
    const session = await server.createSession();
    const mark = uniqueSeconds();
    const { metadata } = await ask(server, session.id, start(sleeper("lost", mark), task("failed", { status: 400 })));
    const [lost, failed] = metadata.jobs.map(({ id }) => id) as [string, string];
    await until(() => sleeps(mark), { what: "it sleeps" });
    await killTwice(server.pid, mark);
    const first = (await ask(server, session.id, wait())).metadata.finished;
    expect(first).toMatchObject([
      { id: lost, state: "failed", error: { code: "sandbox_lost", message: expect.stringContaining("SIGKILL") } },
      { id: failed, state: "failed", error: { code: "model_error" } },
    ]);
    await until(() => sandboxesOf(home).length === 0, { what: "the failed one is parked" });
    const again = script(shell("cat file"), say("again"));
    const [, , woken] = await turn(server, session.id, message(lost, again), message(failed, again), wait());
    expect(woken?.metadata.finished).toMatchObject([
      { id: lost, state: "completed", result: "again", turns: 2 },
      { id: failed, state: "completed", result: "again", turns: 2 },
    ]);
    expect((await outputsOf(server, woken?.metadata.finished[0], "sandbox_exec")).at(-1)).toBe("kept\n[exit code 0]");
  },
);

sandboxTest("keeps a job running while its model fails for a moment, and shows the retries", async () => {
  const { server, model } = setup;
  const session = await server.createSession();
  let refusals = 0;
  model.use((request) => {
    if (request.tools.includes("sandbox_exec") && refusals++ === 0) return { status: 503 };
    return scriptedModel(request);
  });
  await ask(server, session.id, start(task("retried", say("at last"))));
  const reasonNow = async () => (await ask(server, session.id, status())).metadata.jobs[0]?.reason;
  const reason = await until(async () => /^model retry.*/.exec((await reasonNow()) ?? "")?.[0], {
    what: "the retry is told",
  });
  expect(reason).toMatch(/^model retry 1 of 5, next in [\d.]+ s: /);
  const { finished } = (await ask(server, session.id, wait())).metadata;
  expect(finished).toMatchObject([{ state: "completed", result: "at last" }]);
  expect(finished[0]).not.toHaveProperty("reason");
  model.use(scriptedModel);
});

sandboxTest("ends only the job whose session was stopped or deleted by someone else", async () => {
  const { server } = setup;
  const session = await server.createSession();
  const silent = () => task("silent", shell("true"), { hang: true });
  await ask(server, session.id, start(silent(), silent()));
  const [stopped, deleted] = await until(
    async () => {
      const { jobs } = (await ask(server, session.id, status())).metadata;
      const children = jobs.map(({ sessionID }) => sessionID as string);
      const asked = (id: string) =>
        server.toolParts(id, "sandbox_exec").then((parts) => parts[0]?.state.status === "completed");
      return (await Promise.all(children.map(asked))).every(Boolean) ? children : null;
    },
    { what: "both are in their silent step" },
  );
  await server.client.session.abort({ sessionID: stopped as string });
  await server.client.session.delete({ sessionID: deleted as string });
  const { finished } = (await ask(server, session.id, wait())).metadata;
  expect(finished.map(({ state, error }) => [state, error?.code as string])).toEqual([
    ["failed", "cancelled"],
    ["failed", "cancelled"],
  ]);
  expect(finished[1]?.error?.message).toContain("deleted");
});
