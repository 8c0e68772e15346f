import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type BudgetLimits,
  decideBudget,
  decideBudgetAdmission,
  decideJobBudget,
  spendOf,
} from "../../../src/core/budget.ts";
import { measureCompute, NO_COMPUTE, openCompute, settleCompute } from "../../../src/core/cost.ts";
import { type Job, transition } from "../../../src/core/job.ts";
import { propertyRuns } from "../../support/property-runs.ts";
import { jobIn } from "../views/job-in.ts";

const HOUR = 3_600_000;
const limits: BudgetLimits = { ceilingUsd: 10, warnAt: 0.8, rescueMs: HOUR / 10 };
const queued = (more: Partial<Job> = {}) => jobIn({ kind: "queued" }, { id: "new", modelUsd: 0, ...more });
/** A sandbox that costs as much at its requests as at its limits. */
const flat = (usdPerHour: number) => ({ least: usdPerHour, most: usdPerHour });
/** A job that has been running, with its sandbox, since time 0. */
const running = (usdPerHour: number, more: Partial<Job> = {}) =>
  jobIn(
    { kind: "running", leaseID: "l" },
    { modelUsd: 0, compute: openCompute(NO_COMPUTE, flat(usdPerHour), 0, null), ...more },
  );
const withMaxUsd = (job: Job, maxUsd: number): Job => ({ ...job, task: { ...job.task, maxUsd } });

describe("the cost of compute", () => {
  test("adds up the lifetimes of all sandboxes", () => {
    const first = settleCompute(openCompute(NO_COMPUTE, flat(3.6), 0, null), 1_500);
    const second = openCompute(first, flat(7.2), 10_000, null);
    const job = running(0, { compute: second, modelUsd: 0.25 });
    expect(first.usd).toBeCloseTo(0.0015, 12);
    expect(spendOf([job], 20_000).computeUsd).toBeCloseTo(0.0015 + 0.02, 12);
    expect(spendOf([job, job], 20_000)).toMatchObject({ modelUsd: 0.5 });
    expect(settleCompute(settleCompute(second, 20_000), 90_000)).toEqual(settleCompute(second, 20_000));
  });

  test("stops growing when the provider ends a sandbox that nobody watches", () => {
    const job = running(0, { compute: openCompute(NO_COMPUTE, flat(1), 0, 2 * HOUR) });
    expect(spendOf([job], 9 * HOUR).computeUsd).toBe(2);
    expect(settleCompute(job.compute, 9 * HOUR).usd).toBe(2);
  });
});

describe("decideBudgetAdmission", () => {
  const decide = (job: Job, rate: number, jobs: Job[], now = 0) =>
    decideBudgetAdmission(job, rate, [...jobs, job], limits, now);

  test("admits a job while spend, reserves and its own reserve stay under the ceiling", () => {
    expect(decide(queued(), 20, []).kind).toBe("admit");
    expect(decide(queued(), 20, [running(40)]).kind).toBe("admit"); // reserves of 4 and 2 dollars
    expect(decide(queued(), 20, [running(40), running(40)])).toEqual({
      kind: "wait",
      reason: "waiting for budget ($0 spent and $8.00 in reserve for running jobs, of $10.00)",
    });
  });

  test("refuses a job that could never fit the budget", () => {
    const refused = decide(queued(), 20, [running(0, { modelUsd: 8 })]);
    expect(refused).toMatchObject({ kind: "refuse", failure: { code: "budget_exceeded", retryable: false } });
    expect(JSON.stringify(refused)).toContain("budget.usdPerSession");
    expect(decide(queued(), 0, [running(0, { modelUsd: 10 })]).kind).toBe("refuse");
  });

  test("holds a job to its own ceiling, including what it has already spent", () => {
    expect(decide(withMaxUsd(queued(), 3), 20, []).kind).toBe("admit");
    expect(decide(withMaxUsd(queued({ modelUsd: 1 }), 3), 20, []).kind).toBe("refuse");
  });

  test("admits every job when there is no ceiling", () => {
    const free = { ...limits, ceilingUsd: null };
    expect(decideBudgetAdmission(queued(), 1e6, [running(1e6, { modelUsd: 1e6 })], free, HOUR)).toEqual({
      kind: "admit",
    });
    expect(decideBudget([running(1e6)], free, HOUR)).toMatchObject({ isLow: false, isOut: false, nextAt: null });
  });
});

describe("decideBudget and decideJobBudget", () => {
  test("a session is low at its share, out when only the reserves are left, and both moments are predicted", () => {
    const jobs = [running(5), running(5)]; // 10 dollars an hour, 1 dollar in reserve
    const at = (hours: number) => decideBudget(jobs, limits, hours * HOUR);
    expect(at(0)).toMatchObject({ isLow: false, isOut: false, nextAt: 0.8 * HOUR });
    expect(at(0.8)).toMatchObject({ isLow: true, isOut: false, nextAt: 0.9 * HOUR });
    expect(at(0.9)).toMatchObject({ isLow: true, isOut: true, nextAt: null });
  });

  test("a session without running costs has no next moment", () => {
    expect(decideBudget([running(0)], limits, 5).nextAt).toBeNull();
  });

  test("the idle sandbox of an ended job counts like a running one", () => {
    const ended = jobIn(
      { kind: "completed", result: "" },
      { modelUsd: 0, compute: openCompute(NO_COMPUTE, flat(10), 0, null) },
    );
    expect(decideBudget([ended], limits, 0.9 * HOUR).isOut).toBe(true);
  });

  test("the moment at which a task reaches its own ceiling is predicted", () => {
    const job = withMaxUsd(running(10), 3);
    expect(decideJobBudget(job, [], limits, 0)).toEqual({ isOut: false, nextAt: 0.2 * HOUR });
    expect(decideJobBudget(job, [], limits, 0.2 * HOUR).isOut).toBe(true);
    expect(decideJobBudget(running(10), [], limits, 9 * HOUR)).toEqual({ isOut: false, nextAt: null });
  });
});

/** What a job must have before it can be running. */
const STARTED = { childSession: "ses_c", sandbox: { kind: "live", id: "sb" } } as const;

/** A job of a random workload; times in minutes. */
const arrival = fc.record({
  at: fc.integer({ min: 0, max: 400 }),
  usdPerHour: fc.integer({ min: 0, max: 60 }),
  lasts: fc.integer({ min: 1, max: 200 }),
  maxUsd: fc.option(fc.integer({ min: 1, max: 20 })),
  /** What its meter says at its end, thousands of USD: mostly more than it may cost. */
  used: fc.double({ min: 0, max: 1, noNaN: true }),
  /** Share of the reserved rescue time that its rescue takes. */
  rescue: fc.double({ min: 0, max: 1, noNaN: true }),
});

test("under random workloads no ceiling of a session or task is exceeded, and every job ends", () => {
  const MIN = 60_000;
  const own: BudgetLimits = { ceilingUsd: 20, warnAt: 0.8, rescueMs: 5 * MIN };
  fc.assert(
    fc.property(fc.array(arrival, { maxLength: 20 }), (arrivals) => {
      type Played = (typeof arrivals)[number] & { job: Job; endsAt: number };
      const jobs: Played[] = arrivals.map((one, index) => ({
        ...one,
        job: { ...queued({ id: `${index}` }), task: { ...queued().task, maxUsd: one.maxUsd } },
        endsAt: Infinity,
      }));
      const rescued = new Set<Played>();
      for (let now = 0; now <= 3_000 * MIN; now += MIN / 4) {
        const records = () => jobs.map(({ job }) => job);
        for (const one of jobs) {
          const { state, compute } = one.job;
          if (state.kind === "running" && now >= one.endsAt) {
            one.job = {
              ...transition(one.job, { kind: "completed", result: "" }, now),
              compute: settleCompute(measureCompute(compute, one.used * 1e3, now), now),
            };
          }
          if (state.kind !== "queued" || one.at * MIN > now) continue;
          const decision = decideBudgetAdmission(one.job, one.usdPerHour, records(), own, now);
          if (decision.kind === "refuse") {
            one.job = transition(one.job, { kind: "failed", failure: decision.failure }, now);
          }
          if (decision.kind !== "admit") continue;
          one.endsAt = now + one.lasts * MIN;
          const starting = transition(one.job, { kind: "starting", leaseID: "l" }, now);
          const running = transition({ ...starting, ...STARTED }, { kind: "running" }, now);
          one.job = { ...running, compute: openCompute(compute, flat(one.usdPerHour), now, null) };
        }
        const { isOut } = decideBudget(records(), own, now);
        for (const one of jobs) {
          if (one.job.state.kind !== "running" || rescued.has(one)) continue;
          if (!isOut && !decideJobBudget(one.job, [], own, now).isOut) continue;
          rescued.add(one);
          one.endsAt = Math.min(one.endsAt, now + one.rescue * (own.rescueMs - MIN / 2));
        }
        // Decisions are made every quarter of a minute and not at the exact moment: two of them are the tolerance.
        const tolerance = (rate: number) => (rate * MIN) / 2 / HOUR;
        const rates = jobs.reduce((sum, { job }) => sum + (job.compute.since === null ? 0 : job.compute.usdPerHour), 0);
        expect(spendOf(records(), now).usd).toBeLessThanOrEqual(20 + tolerance(rates) + 1e-9);
        for (const { job, maxUsd, usdPerHour } of jobs) {
          if (maxUsd !== null)
            expect(spendOf([job], now).usd).toBeLessThanOrEqual(maxUsd + tolerance(usdPerHour) + 1e-9);
        }
      }
      expect(jobs.filter(({ job }) => job.state.kind === "queued" || job.state.kind === "running")).toEqual([]);
    }),
    { numRuns: propertyRuns(25) },
  );
});
