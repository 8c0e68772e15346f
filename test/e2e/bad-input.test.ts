import { expect, test } from "bun:test";
import { sandboxTest } from "../support/sandboxes.ts";
import { call, say } from "../support/scripted.ts";
import { startSetupIn } from "../support/test-setup.ts";
import { ask, cancel, message, start, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";

const setup = useProject({ maxTasksPerCall: 3 });

test("fails only the tasks that name something missing or not supported, and lists what there is", async () => {
  const { server } = setup;
  const session = await server.createSession();
  const refused = async (more: Record<string, unknown>) => {
    const { metadata } = await ask(server, session.id, start({ description: "d", prompt: "p", ...more }));
    const [job] = metadata.jobs;
    expect(job).toMatchObject({
      state: "failed",
      turns: 0,
      sandbox: "none",
      error: { code: "invalid_task", retryable: false },
    });
    return job?.error?.message;
  };
  expect(await refused({ agent: "nobody" })).toContain('agent "nobody" is not configured; there are: build');
  expect(await refused({ model: "mock/m3" })).toBe('model "mock/m3" is not configured; there are: mock/m1, mock/m2.');
  expect(await refused({ environment: "big" })).toBe('environment "big" is not configured; there is: default.');
  expect(await refused({ from: "snap_000000000000" })).toContain('from "snap_000000000000" names no job or snapshot');
  expect(await refused({ skills: ["parallel-agents", "cooking"] })).toContain('skill "cooking" is not configured');
  expect(await refused({ gpu: "H100:8" })).toContain('gpu "H100:8" cannot be had');
  expect(await refused({ timeout_minutes: -1 })).toContain("timeout_minutes: ");
  expect(await refused({ max_usd: -1 })).toContain("max_usd: ");
  expect(await refused({ prompt: "  \n" })).toContain('neither "prompt"');
  expect(await refused({ prompt: "x".repeat(1_000_001) })).toContain(
    "prompt has 1000001 characters, and at most 1000000 are allowed",
  );
  expect(await refused({ prompt: 5 })).toContain("task 1: prompt: ");
  expect(await refused({ description: ["x", "y"], prompt: null })).toContain('neither "prompt"');
  expect(await refused({ timeout: 5 })).toContain('"timeout"');
  const { metadata } = await ask(server, session.id, wait());
  expect(metadata).toMatchObject({ reason: "satisfied", pending: [] });
  expect(metadata.finished).toHaveLength(13);
  const again = await ask(server, session.id, message(metadata.finished[0]?.id as string, "try anyway"));
  expect(again.metadata.error).toMatchObject({
    code: "invalid_task",
    message: expect.stringContaining("never started"),
  });
  expect((await ask(server, session.id, cancel(metadata.finished[0]?.id as string))).metadata.jobs).toMatchObject([
    { state: "failed", error: { code: "invalid_task" } },
  ]);
});

test("names missing, wrong and unknown arguments of a call", async () => {
  const { server } = setup;
  const session = await server.createSession();
  const bad = async (tool: string, args: unknown, code: string, ...said: string[]) => {
    const { metadata } = await ask(server, session.id, call(tool, args));
    expect(metadata.error).toMatchObject({ code, retryable: false });
    for (const one of said) expect(metadata.error?.message).toContain(one);
  };
  await bad("agents_start", {}, "invalid_task", "agents_start was called with bad arguments", "tasks");
  await bad("agents_start", { tasks: [] }, "invalid_task", "at least one task is needed");
  await bad("agents_start", { tasks: "do it" }, "invalid_task", "tasks: ");
  await bad("agents_wait", { until: -1 }, "invalid_task", "until: ", ">=1");
  await bad("agents_wait", { until: "some" }, "invalid_task", 'until: "all", "any" or a whole number from 1');
  await bad("agents_wait", { timeout_seconds: 14_401 }, "invalid_task", "timeout_seconds: ", "14400");
  await bad("agents_wait", { timeout: 5 }, "invalid_task", '"timeout"', 'do you mean "timeout_seconds"?');
  await bad("agents_message", { job: "job_000000000000" }, "invalid_task", "message: ");
  await bad(
    "agents_message",
    { job: "job_000000000000", message: " " },
    "invalid_task",
    "message: the message is empty",
  );
  await bad("agents_cancel", { jobs: [] }, "invalid_task", "name at least one job");
  await bad("agents_cancel", { jobs: ["../../etc", 7] }, "invalid_task", "jobs[1]: ");
  await bad("agents_status", { jobs: ["job_x"] }, "not_found", "job_x", "It has started none yet.");
  await bad("agents_message", { job: "job_x", message: "m" }, "not_found", "job_x");
  await bad("sandbox_snapshot", { job: "job_x", label: "a b" }, "invalid_task", "label: English letters, digits");
  await bad("sandbox_snapshot", {}, "not_found", "Name the job");
  const empty = await ask(server, session.id, call("agents_wait", { jobs: "", until: null, timeout_seconds: "0" }));
  expect(empty.metadata).toMatchObject({ reason: "satisfied", finished: [], pending: [] });
});

sandboxTest("starts the first tasks of a call that has too many, and fails the rest", async () => {
  const { server } = setup;
  const session = await server.createSession();
  const many = [1, 2, 3, 4, 5].map((n) => task(`t${n}`, say(`r${n}`)));
  const [, waited] = await turn(server, session.id, start(...many), wait());
  const jobs = waited?.metadata.finished ?? [];
  expect(jobs.map(({ result, error }) => result ?? error?.code)).toEqual([
    "r1",
    "r2",
    "r3",
    "invalid_task",
    "invalid_task",
  ]);
  expect(jobs[4]?.error?.message).toContain("at most 3 tasks and this is number 5");
});

test("refuses the 33rd task of a call by default", async () => {
  const own = await startSetupIn(setup);
  try {
    const session = await own.server.createSession();
    const unknown = Array.from({ length: 33 }, (_, n) => ({ description: `t${n}`, prompt: "p", agent: "nobody" }));
    const { jobs } = (await ask(own.server, session.id, start(...unknown))).metadata;
    expect(jobs).toHaveLength(33);
    const messages = jobs.map(({ error }) => error?.message ?? "");
    expect(messages.filter((text) => text.includes('agent "nobody"'))).toHaveLength(32);
    expect(messages[32]).toContain("at most 32 tasks and this is number 33");
  } finally {
    await own.stop();
  }
});
