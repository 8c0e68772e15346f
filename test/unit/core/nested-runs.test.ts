import { describe, expect, test } from "bun:test";
import { decideBudgetAdmission, decideJobBudget } from "../../../src/core/budget.ts";
import { type Compute, NO_COMPUTE } from "../../../src/core/cost.ts";
import type { Job } from "../../../src/core/job.ts";
import { forOrchestrator } from "../../../src/core/nested-notices.ts";
import { withRuns } from "../../../src/core/nested-runs.ts";
import type { Notice } from "../../../src/core/notice.ts";

const HOUR = 3_600_000;

const job = (id: string, state: string, more: object = {}) =>
  ({
    id,
    startedBy: null,
    modelUsd: 0,
    compute: NO_COMPUTE,
    notes: [],
    state: { kind: state },
    task: { run: null, maxUsd: null },
    ...more,
  }) as unknown as Job;
const run = (id: string, state: string, more: object = {}) =>
  job(id, state, { startedBy: "job_1", task: { run: {}, maxUsd: null }, ...more });

describe("a job that ends", () => {
  const ended = job("job_1", "completed");
  test("says how many runs it has started, and names those that end with it", () => {
    const runs = [run("job_2", "completed"), run("job_3", "failed"), run("job_4", "running"), run("job_5", "queued")];
    const { notes } = withRuns(ended, () => [ended, ...runs, job("job_6", "running")]);
    expect(notes).toEqual([
      "It started 4 runs itself: 1 completed, 1 failed, 2 cancelled because the job ended.",
      "These runs were open when it ended, and were cancelled: job_4, job_5.",
    ]);
    const again = withRuns({ ...ended, notes }, () => [
      ...runs.slice(0, 2),
      run("job_4", "cancelled"),
      run("job_5", "cancelled"),
    ]);
    expect(again.notes[1]).toBe("It started 4 runs itself: 1 completed, 1 failed, 2 cancelled.");
  });
  test("says nothing of runs where it started none, nor does a run", () => {
    expect(withRuns(ended, () => [job("job_2", "running")])).toBe(ended);
    expect(withRuns(run("job_2", "completed"), () => [])).toMatchObject({ notes: [] });
  });
});

describe("the ceiling of a job", () => {
  const limits = { ceilingUsd: null, warnAt: 0.8, rescueMs: HOUR / 10 };
  const costs = (usd: number, perHour = 0): { compute: Compute } => ({
    compute: { ...NO_COMPUTE, usd, usdPerHour: perHour, since: perHour > 0 ? 0 : null } as Compute,
  });
  const starter = (usd: number) => job("job_1", "running", { task: { run: null, maxUsd: 1 }, ...costs(usd) });

  test("has room for a run, waits for its other runs, and refuses what can never fit", () => {
    const admit = (spent: number, others: Job[]) =>
      decideBudgetAdmission(run("job_9", "queued"), 1, [starter(spent), ...others], limits, 0);
    expect(admit(0.5, [])).toEqual({ kind: "admit" });
    expect(admit(0.5, [run("job_2", "completed", costs(0.45))])).toMatchObject({
      kind: "refuse",
      failure: { code: "budget_exceeded" },
    });
    expect(admit(0.95, [])).toMatchObject({ kind: "refuse" });
    const busy = { ...run("job_2", "running"), ...costs(0, 4.5) };
    expect(admit(0.5, [busy])).toMatchObject({ kind: "wait" });
    expect(admit(0.5, [{ ...busy, startedBy: "job_7" }])).toEqual({ kind: "admit" });
  });

  test("is reached by what its runs cost", () => {
    const jobs = [run("job_2", "running", costs(0.6, 1))];
    expect(decideJobBudget(starter(0.2), jobs, limits, 0)).toEqual({ isOut: false, nextAt: HOUR / 10 });
    expect(decideJobBudget(starter(0.4), jobs, limits, 0).isOut).toBe(true);
    expect(decideJobBudget(starter(0.4), [], limits, 0).isOut).toBe(false);
  });

  test("a run does not wait for reserves of the session's other jobs: its own job may be what they wait for", () => {
    const session = { ...limits, ceilingUsd: 1 };
    const other = { ...job("job_8", "running"), ...costs(0, 9) };
    const jobs = [job("job_1", "running"), other];
    expect(decideBudgetAdmission(run("job_9", "queued"), 1, jobs, session, 0)).toMatchObject({ kind: "refuse" });
    expect(decideBudgetAdmission(job("job_9", "queued"), 1, jobs, session, 0)).toMatchObject({ kind: "wait" });
    const withSibling = [...jobs, run("job_2", "running")];
    expect(decideBudgetAdmission(run("job_9", "queued"), 1, withSibling, session, 0)).toMatchObject({ kind: "wait" });
  });
});

test("ends of runs are the job's to tell while it lives, and nobody's afterwards", () => {
  const notice = (of: Job, delivery: object | null = null) => ({ id: 1, job: of, delivery }) as unknown as Notice;
  const [own, untold, told] = [
    notice(job("job_1", "completed")),
    notice(run("job_2", "completed")),
    notice(run("job_3", "failed"), { kind: "call" }),
  ];
  const all = [own, untold, told] as Notice[];
  const parts = (starter: Job | undefined) => forOrchestrator(all, () => starter);
  expect(parts(job("job_1", "running"))).toEqual({ notices: [own, told], obsolete: [] } as never);
  expect(parts(job("job_1", "completed"))).toEqual({ notices: [own], obsolete: [untold, told] } as never);
  expect(parts(undefined).obsolete).toHaveLength(2);
});
