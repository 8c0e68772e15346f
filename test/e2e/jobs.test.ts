import { expect } from "bun:test";
import {
  HOLD,
  heldFrom,
  holders,
  mostAtOnce,
  openGates,
  sandboxesOf,
  sandboxTest,
  wallsOf,
} from "../support/sandboxes.ts";
import { call, say } from "../support/scripted.ts";
import { ask, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

const setup = useProject();

const moment = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

const work = (n: number) =>
  task(
    `job ${n}`,
    call("job_report", { status: `begins ${n}` }),
    call("job_report", { status: `works ${n}`, metrics: { loss: n / 2, old: 1 }, step: 10 * n }),
    call("job_report", { metrics: { old: 2 } }),
    shell(HOLD),
    say(`result ${n}`),
  );

sandboxTest("runs three jobs at the same time, each with its own result and metrics", async () => {
  const { server, home, model } = setup;
  const session = await server.createSession();
  const [started] = await turn(server, session.id, start(work(1), work(2), work(3)));
  expect(started?.metadata.jobs).toStrictEqual(
    [1, 2, 3].map((n) => ({
      id: expect.stringMatching(/^job_[a-z0-9]{12}$/),
      kind: "agent",
      description: `job ${n}`,
      state: "queued",
      queuePosition: n,
      agent: "sandbox_worker",
      model: "mock/m1",
      environment: "default",
      provider: "local",
      sandbox: "none",
      metrics: {},
      turns: 0,
      tokens: { input: 0, output: 0, cached: 0, reasoning: 0 },
      usd: { model: 0, compute: 0 },
      createdAt: moment,
      elapsedSeconds: 0,
      notes: [],
    })),
  );
  await until(() => holders(home).length === 3, { what: "all three are in their sandboxes" });
  const now = await ask(server, session.id, status());
  expect(now.metadata.pool).toEqual({ running: 3, queued: 0, limit: 8, gpus: { total: { used: 0, limit: 10 } } });
  for (const [index, job] of now.metadata.jobs.entries()) {
    const n = index + 1;
    expect(job).toMatchObject({
      state: "running",
      tool: "sandbox_exec",
      sandbox: "live",
      status: `works ${n}`,
      turns: 1,
    });
    const source = "reported";
    expect(job.metrics).toEqual({
      loss: { value: n / 2, step: 10 * n, at: moment, source },
      old: { value: 2, at: moment, source },
    });
    expect(sandboxesOf(home)).toContain(job.sandboxID as string);
  }
  expect(now.metadata.spend).toMatchObject({ computeUsd: 0, budgetUsd: 25 });
  // Opened only once the wait has begun: jobs that end before it are told of in a notice.
  const waiting = ask(server, session.id, wait());
  const isWaiting = async () =>
    (await server.toolParts(session.id, "agents_wait")).some(({ state }) => state.status === "running");
  await until(isWaiting, { what: "the wait has begun" });
  openGates(home);
  const waited = await waiting;
  expect(waited.metadata).toMatchObject({ reason: "satisfied", pending: [] });
  expect(waited.metadata.finished.map(({ id }) => id)).toEqual(started?.metadata.jobs.map(({ id }) => id) as string[]);
  await until(() => sandboxesOf(home).length === 0, { what: "the sandboxes are given up" });

  const last = await ask(server, session.id, status());
  for (const [index, job] of last.metadata.jobs.entries()) {
    const { metrics, sessionID, ...rest } = job;
    expect(rest).toStrictEqual({
      id: started?.metadata.jobs[index]?.id as string,
      kind: "agent",
      description: `job ${index + 1}`,
      state: "completed",
      agent: "sandbox_worker",
      model: "mock/m1",
      environment: "default",
      provider: "local",
      sandbox: "parked",
      status: `works ${index + 1}`,
      turns: 1,
      tokens: { input: 500, output: 50, cached: 0, reasoning: 0 },
      usd: { model: expect.closeTo((500 + 2 * 50) / 1e6, 9), compute: 0 },
      createdAt: moment,
      startedAt: moment,
      endedAt: moment,
      elapsedSeconds: expect.any(Number),
      snapshot: expect.stringMatching(/^snap_/),
      result: `result ${index + 1}`,
      notes: expect.any(Array), // what this machine cannot do
    });
  }
  expect(last.metadata.spend.modelUsd).toBeCloseTo((3 * 600) / 1e6, 9);
  expect(last.metadata.snapshots).toEqual([]); // parked ones were not asked for
  expect(last.metadata.pool).toMatchObject({ running: 0, queued: 0 });
  expect(wallsOf(server.pid)).toEqual([]);
  for (const n of [1, 2, 3]) expect(waited.output).toMatch(new RegExp(`<result-(\\w+)>\nresult ${n}\n</result-\\1>`));

  const outputs = await Promise.all(last.metadata.jobs.map((job) => outputsOf(server, job, "sandbox_exec")));
  expect(mostAtOnce(outputs.map(([output = ""]) => heldFrom(output)))).toBe(3);
  expect((await server.children(session.id)).map(({ id }) => id).sort()).toEqual(
    last.metadata.jobs.map(({ sessionID }) => sessionID as string).sort(),
  );
  expect(model.errors).toEqual([]);
});

sandboxTest("gives orchestrator, job and title request only their own system text and tools", async () => {
  const { server, home, model } = setup;
  const before = { requests: model.requests.length, titles: model.titleRequests.length };
  const session = await server.createSession();
  await turn(server, session.id, start(task("looks", call("job_report", { status: "there" }), say("seen"))), wait());
  await until(() => model.titleRequests.length > before.titles, { what: "a title was asked for" });
  const requests = model.requests.slice(before.requests);
  const ofJob = requests.filter(({ tools }) => tools.includes("sandbox_exec"));
  const ofOrchestrator = requests.filter(({ tools }) => tools.includes("agents_cancel"));
  expect(ofJob).toHaveLength(2);
  expect(ofOrchestrator).toHaveLength(3);
  for (const { system, tools } of ofJob) {
    expect(system).toStartWith("You are an agent working alone on one delegated job.");
    expect(system).not.toContain("# Parallel agents");
    expect(system).not.toContain("<env>");
    expect(system).not.toContain(home.project);
    expect([...tools].sort()).toEqual([
      "agents_start",
      "agents_status",
      "agents_wait",
      "job_report",
      "sandbox_edit",
      "sandbox_exec",
      "sandbox_process",
      "sandbox_read",
      "sandbox_snapshot",
      "sandbox_write",
      "skill",
    ]);
  }
  for (const { system, tools } of ofOrchestrator) {
    expect(system).toContain("# Parallel agents");
    expect(system).not.toContain("delegated job.");
    const ours = tools.filter((tool) => /^(agents_|experiments_|sandbox_|job_)/.test(tool)).sort();
    expect(ours).toEqual([
      "agents_cancel",
      "agents_collect",
      "agents_message",
      "agents_start",
      "agents_status",
      "agents_wait",
      "experiments_list",
      "experiments_score",
      "sandbox_snapshot",
    ]);
    expect(tools).toContain("bash");
  }
  const titles = model.titleRequests.slice(before.titles);
  expect(titles).toHaveLength(1); // of the orchestrator: a job has its task's description
  expect(titles[0]?.system).not.toContain("Parallel agents");
  expect((await server.children(session.id)).map(({ title }) => title)).toEqual(["looks (@sandbox_worker subagent)"]);
});
