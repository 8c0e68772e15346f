import { describe, expect, test } from "bun:test";
import { spendOf } from "../../../../src/core/budget.ts";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { waitForJobs } from "../../../../src/jobs/actions/wait-for-jobs.ts";
import { bytes, inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";

const MIN = 60_000;
/** A sandbox costs one dollar an hour: it has one core by default. */
const prices = { cpuCore: 1, memoryGiB: 0 };
const noOtherLimits = {
  stallTimeoutMinutes: 1e4,
  jobTimeoutMinutes: 1e4,
  checkpointMinutes: null,
  parkAfterSeconds: 0,
};
const budget = (usdPerSession: number | null, warnAt = 0.8) => ({
  ...noOtherLimits,
  prices,
  budget: { usdPerSession, warnAt },
});
const endless = `work ${1e4 * MIN} never`;

const spent = async (world: World) => spendOf((await world.runtime.sessionJobs(ORCHESTRATOR)).all(), world.clock.now());

test(
  "counts model and compute to the cent over parking, follow-ups and restarts, even while no process runs",
  inWorld(async (world) => {
    const [id = ""] = await world.start(`work ${60 * MIN} one`);
    await world.reaches(id, "running");
    await world.clock.advance(60 * MIN + 1_000);
    expect(world.job(id)).toMatchObject({ state: { kind: "completed" }, sandbox: { kind: "parked" } });
    await world.clock.advance(600 * MIN); // a parked job costs nothing
    expect(await spent(world)).toMatchObject({
      modelUsd: 0.005,
      computeUsd: expect.closeTo(1, 3),
      usd: expect.closeTo(1.005, 3),
    });
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: endless, interrupt: false });
    await world.reaches(id, "running");
    await world.clock.advance(30 * MIN);
    await world.close(world.runtime);
    await world.clock.advance(30 * MIN); // its sandbox is live while no OpenCode runs
    await world.reopen();
    expect(await spent(world)).toMatchObject({ computeUsd: expect.closeTo(2, 3) });
  }, budget(null)),
);

test(
  "counts the sandbox of a job that was woken while its former one could not be ended",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    let isDown = true;
    world.machine.onCall = async (verb) => {
      if (verb === "terminate" && isDown) throw new Error("no answer");
    };
    await world.clock.advance(61_000);
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: endless, interrupt: false });
    await world.reaches(id, "running");
    isDown = false;
    await world.clock.advance(2 * MIN); // the former sandbox is ended now
    expect(world.machine.sandboxes()).toHaveLength(1);
    expect(world.job(id).compute.since).not.toBeNull();
    const { computeUsd } = await spent(world);
    await world.clock.advance(30 * MIN);
    expect((await spent(world)).computeUsd - computeUsd).toBeCloseTo(0.5, 3);
  }, budget(null)),
);

const RESERVED = /^The session's budget of \$2\.00 is used up: \$1\.8\d is spent, and the rest is in reserve/;

describe("at the ceiling", () => {
  test(
    "a session is warned once, then its jobs are rescued, new ones are refused, and the ceiling holds",
    inWorld(async (world) => {
      const [a = "", b = ""] = await world.start(endless, endless);
      await world.reaches(b, "running");
      await world.runtime.lifecycle.live(a)?.writeFile("kept", bytes("kept"));
      const wait = () =>
        waitForJobs(world.runtime, ORCHESTRATOR, {
          until: "all",
          timeoutMs: 1e9,
          messageID: "msg_1",
          signal: new AbortController().signal,
          onProgress: () => {},
        });
      const first = wait();
      await world.clock.advance(47 * MIN);
      expect(world.budgetWarnings).toEqual([]);
      await world.clock.advance(1.5 * MIN); // two jobs have cost 0.8 of 2 dollars
      expect(world.budgetWarnings).toEqual([expect.stringMatching(/^1\.6\d of 2$/)]);
      expect(await first).toMatchObject({ reason: "attention", lowBudget: { usd: expect.any(Number) } });
      const second = wait();
      await world.clock.advance(12 * MIN); // 2 dollars minus the rescue of two jobs, five minutes each
      const { reason, finished } = await second;
      expect(reason).toBe("satisfied");
      for (const job of finished) {
        expect(job).toMatchObject({
          state: { kind: "failed", failure: { code: "budget_exceeded", message: expect.stringMatching(RESERVED) } },
          sandbox: { kind: "parked" },
        });
      }
      const { usd } = await spent(world);
      expect(usd).toBeGreaterThan(1.8);
      expect(usd).toBeLessThan(2);
      expect(world.budgetWarnings.length).toBe(1);
      const [last = ""] = await world.start(endless); // the budget has room for one more job and its rescue
      await world.reaches(last, "running");
      await world.clock.advance(6 * MIN);
      expect(world.job(last).state).toMatchObject({ kind: "failed", failure: { code: "budget_exceeded" } });
      expect((await spent(world)).usd).toBeLessThan(2);
      const [refused = ""] = await world.start("say no");
      expect(world.job(refused).state).toMatchObject({ kind: "failed", failure: { code: "budget_exceeded" } });

      await world.close(world.runtime);
      world.runtime = await world.open({ budget: { usdPerSession: 10, warnAt: 0.8 } });
      const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
      for (const job of [a, refused]) {
        await messageJob(world.runtime, ORCHESTRATOR, { job, message: "say there", interrupt: false });
        await world.clock.until("the job completes", () => sessionJobs.get(job)?.state.kind === "completed");
      }
      expect(world.operations("create").length).toBe(5);
    }, budget(2)),
  );

  test(
    "the cost of the model counts too, and stops a job as soon as it is known",
    inWorld(async (world) => {
      world.sessions.usdPerAnswer = 3;
      const [id = ""] = await world.start(endless);
      await world.reaches(id, "failed");
      expect(world.job(id).state).toMatchObject({
        failure: { code: "budget_exceeded", message: expect.stringContaining("is used up: $3.00 is spent. ") },
      });
      expect(world.clock.now() - world.job(id).createdAt).toBeLessThan(MIN);
    }, budget(2)),
  );

  test(
    "a task that has max_usd is stopped, and no other job",
    inWorld(async (world) => {
      const [own = "", other = ""] = await world.start({ description: "d", prompt: endless, max_usd: 1 }, endless);
      await world.reaches(other, "running");
      await world.clock.advance(54 * MIN);
      expect(world.job(own).state.kind).toBe("running");
      await world.clock.advance(2 * MIN); // an hour minus five minutes of rescue
      expect(world.job(own).state).toMatchObject({
        failure: { code: "budget_exceeded", message: expect.stringContaining("max_usd") },
      });
      expect(world.job(other).state.kind).toBe("running");
    }, budget(25)),
  );
});

test(
  "a job waits while the reserves of running jobs leave too little, and starts when those jobs have ended",
  inWorld(
    async (world) => {
      const [a = "", b = "", c = ""] = await world.start(`work ${MIN} a`, "say b", "say c");
      await world.reaches(a, "running");
      expect(world.runtime.scheduler.places([b]).get(b)).toEqual({
        position: 1,
        reason: expect.stringContaining("waiting for budget"),
      });
      expect(world.runtime.scheduler.places([c]).get(c)).toMatchObject({ position: 2 });
      expect([...world.runtime.pool.poolState(world.clock.now()).queue]).toEqual([]); // jobs of other sessions do not wait behind them
      await world.clock.advance(2 * MIN);
      expect([a, b, c].map((id) => world.job(id).state.kind)).toEqual(["completed", "completed", "completed"]);
    },
    budget(0.16), // five minutes of rescue cost a twelfth of a dollar
  ),
);
