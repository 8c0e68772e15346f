import { expect, test } from "bun:test";
import { isEnded, type Job, type JobState } from "../../../src/core/job.ts";
import { openSessionStore, sessionFile } from "../../../src/jobs/store/session-store.ts";
import type { JobView } from "../../../src/views/job-view.ts";
import { inWorld, ORCHESTRATOR, type World } from "../jobs/runtime-world.ts";
import { jobIn } from "../views/job-in.ts";
import { openTools } from "./tool-host.ts";

/* OpenCode cuts an answer above 51,200 bytes or 2,000 lines, and keeps its beginning. */

const ended = (n: number): Partial<JobState> & { kind: JobState["kind"] } =>
  n % 10 === 0
    ? { kind: "failed", failure: { code: "model_error", message: `broken ${n} `.repeat(40), retryable: null } }
    : { kind: "completed", result: `answer ${n} `.repeat(60) };

/**
 * Records the jobs of a former process. Every fortieth is queued. They have spent the session's budget, so none starts.
 */
async function record(world: World, count: number, stateOf = ended, modelUsd = 30): Promise<string[]> {
  const store = await openSessionStore(sessionFile(world.stateDir, ORCHESTRATOR));
  const now = world.clock.now();
  const jobs = Array.from({ length: count }, (_, index): Job => {
    const n = index + 1;
    const job = jobIn({ since: now, ...(n % 40 === 0 ? { kind: "queued" as const } : stateOf(n)) });
    const task = { ...job.task, description: `part ${n} of the work` };
    const id = `job_${String(n).padStart(12, "0")}`;
    return { ...job, id, orchestrator: ORCHESTRATOR, position: n, task, createdAt: now + n, modelUsd };
  });
  const toTurn = ({ id }: Job) => ({
    ...{ id: `turn_${id}`, jobID: id, position: 1, text: "hang", messageID: null, update: null },
    state: "queued" as const,
  });
  store.insert(jobs.map((job) => ({ job, turn: toTurn(job) })));
  for (const job of jobs) if (isEnded(job.state)) store.saveEnded(job);
  store.close();
  return jobs.map(({ id }) => id);
}

function expectWhole(output: string): void {
  expect(Buffer.byteLength(output)).toBeLessThan(51_200);
  expect(output.split("\n").length).toBeLessThan(2_000);
}

const LAST_OPEN = "job_000000000400";

test(
  "a status of 400 jobs begins with pool and spend, lists open jobs first and the newest first, and folds the rest",
  inWorld(async (world) => {
    const { call } = openTools(world);
    await record(world, 400);
    await call("agents_wait", { until: "any" }); // tells the results
    const { output, metadata } = await call("agents_status", {});
    expectWhole(output);
    const lines = output.split("\n");
    expect(lines[0]).toMatch(/^Pool: 0 of 8 slots in use, .* Spent: \$/);
    expect(lines[1]).toBe("10 queued, 360 completed, 30 failed:");
    expect(lines[2]).toStartWith(`${LAST_OPEN}  queued`);
    expect(lines[11]).toStartWith("job_000000000040  queued");
    expect(lines[12]).toStartWith("job_000000000399  completed");
    expect(output.match(/^job_\d+ {2}failed .*model_error: broken/gm)?.length).toBe(30);
    expect(output.match(/^job_\d+ {2}completed/gm)?.length).toBe(20);
    expect(output).toMatch(/\n340 more completed: job_000000000\d+, job_/);
    expect(output).toContain('agents_status with "jobs" shows them');
    expect((metadata.jobs as JobView[]).length).toBe(400);
    expect(JSON.stringify(metadata).length).toBeLessThan(1_500_000);
  }),
);

test(
  "a wait for 400 jobs tells what fits and names the others, whose results can be asked for; the next says so in a line",
  inWorld(async (world) => {
    const { call } = openTools(world);
    await record(world, 400);
    const first = await call("agents_wait", { until: 300, timeout_seconds: 1 });
    expectWhole(first.output);
    expect(first.output.match(/^<job id/gm)?.length).toBe(32);
    expect(first.output).toContain("358 more have ended, whose results do not fit here");
    expect(first.output).toMatch(/more completed: job_\d/);
    expect(first.output).toContain(`Not ended yet:\njob_000000000040  queued`);
    const named = await call("agents_status", { jobs: ["job_000000000390", "job_000000000391"] });
    expect(named.output).toContain("answer 391 ".repeat(60).trim());
    expect(named.output).toContain("<error>model_error: broken 390");

    world.sessions.emit({ kind: "user_wrote", sessionID: ORCHESTRATOR, messageID: "msg_6" }); // ends the wait
    const again = await call("agents_wait", { until: "any" });
    expectWhole(again.output);
    expect(again.output).toContain("Ended and told before: 360 completed, 30 failed.\n");
    expect(again.output.split("\n").length).toBeLessThan(15);
    expect((again.metadata.finished as JobView[]).length).toBe(390);
    const whole = await call("agents_wait", { jobs: (again.metadata.finished as JobView[]).map(({ id }) => id) });
    expectWhole(whole.output);
  }),
);

test(
  "a running job stands before the jobs that are queued behind it, which are newer",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const [running = ""] = await world.start("hang");
    await world.reaches(running, "running");
    await world.start(...Array.from({ length: 30 }, () => "say 1"));
    const { output } = await call("agents_status", {});
    const lines = output.split("\n").filter((line) => line.startsWith("job_"));
    expect(lines[0]).toStartWith(`${running}  running`);
    expect(lines[1]).toContain("  queued ");
    expectWhole(output);
  }),
);

test(
  "400 jobs that are queued, and their cancellation, fit as well",
  inWorld(
    async (world) => {
      const { call } = openTools(world);
      const ids = await record(world, 400, () => ({ kind: "queued" }), 0);
      const stop = new AbortController();
      const wait = call("agents_wait", {}, ORCHESTRATOR, stop.signal);
      await world.clock.advance(0);
      stop.abort();
      const waiting = await wait;
      expectWhole(waiting.output);
      expect((waiting.metadata.pending as JobView[]).length).toBe(400);
      let isCancelled = false;
      const cancelling = call("agents_cancel", { jobs: ids, reason: "x".repeat(500) });
      void cancelling.finally(() => {
        isCancelled = true;
      });
      await world.clock.until("all are cancelled", () => isCancelled);
      const cancelled = await cancelling;
      expectWhole(cancelled.output);
      expect(cancelled.title).toBe("400 cancelled");
      expect(cancelled.output).toMatch(/\n\d+ more cancelled: job_/);
      const one = await call("agents_status", { jobs: [ids[0]] });
      expect(one.output).toContain(`cancelled by the orchestrator: ${"x".repeat(400)}`);
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "of 700 queued jobs the newest have a view, and the others are counted in words and in the metadata",
  inWorld(
    async (world) => {
      const { call } = openTools(world);
      await record(world, 700, () => ({ kind: "queued" }), 0);
      const stop = new AbortController();
      const wait = call("agents_wait", {}, ORCHESTRATOR, stop.signal);
      await world.clock.advance(0);
      const status = await call("agents_status", {});
      expect(status.title).toMatch(/^1 (starting|running), 699 queued$/);
      expect(status.output).toContain("\n100 older jobs: 100 queued.");
      expect(status.metadata).toMatchObject({ left: 100 });
      const ids = (status.metadata.jobs as JobView[]).map(({ id }) => id);
      expect([ids.length, ids[0], ids[1], ids.at(-1)]).toEqual([
        ...[600, "job_000000000001"],
        ...["job_000000000102", "job_000000000700"],
      ]);
      stop.abort();
      const waiting = await wait;
      expectWhole(waiting.output);
      expect(waiting.output).toContain("\n100 older jobs: 100 queued.");
      expect([(waiting.metadata.pending as JobView[]).length, waiting.metadata.left]).toEqual([600, 100]);
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "a call that starts 32 jobs with long notes or errors names each",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const tasks = Array.from({ length: 32 }, (_, n) => ({
      description: "語".repeat(80),
      prompt: `say ${n}`,
      environment: `${"e".repeat(900)}${n}`,
    }));
    const { output } = await call("agents_start", { tasks });
    expectWhole(output);
    expect(output.match(/^job_\d+ {2}failed/gm)?.length).toBe(32);
  }),
);

test(
  "a result of any length is told as a whole or says where the rest is",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const long = "0123456789".repeat(3_000);
    const ids = await record(world, 3, (n) => ({ kind: "completed", result: n === 3 ? long.repeat(10) : long }));
    const waited = await call("agents_wait", {});
    expectWhole(waited.output);
    expect(waited.output).toContain(`agents_status with "jobs": ["${ids[0]}"] tells more`);
    const one = await call("agents_status", { jobs: ids[0] });
    expect(one.output).toContain(long);
    const last = await call("agents_status", { jobs: ids[2] });
    expectWhole(last.output);
    expect(last.output).toContain("characters more are in session");
  }),
);

test(
  "a wait without any job says so",
  inWorld(async (world) => {
    const { call } = openTools(world);
    for (const args of [{}, { jobs: [] }, { until: "any" }, { timeout_seconds: "5", jobs: null }]) {
      const { output, metadata, title } = await call("agents_wait", args);
      expect(output).toBe(
        "This session has started no jobs, so there is nothing to wait for. agents_start starts some.",
      );
      expect([title, metadata]).toEqual(["no jobs", { reason: "satisfied", finished: [], pending: [] }]);
    }
  }),
);

test(
  "a cancelled job says who cancelled it, and why if there was a reason",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const [a = "", b = ""] = await world.start("hang", "hang");
    const plain = await call("agents_cancel", { jobs: [a] });
    expect(plain.output).toMatch(/ cancelled {2}hang .*· cancelled by the orchestrator(?: ·|$)/);
    const why = await call("agents_cancel", { jobs: b, reason: "too slow" });
    expect(why.output).toContain("· cancelled by the orchestrator: too slow");
    expect((why.metadata.jobs as JobView[])[0]?.error).toEqual({
      code: "cancelled",
      message: "too slow",
      retryable: false,
    });
    for (const tool of ["agents_status", "agents_wait"])
      expect((await call(tool, { jobs: [a, b] })).output).not.toContain("cancelled: cancelled");
  }),
);
