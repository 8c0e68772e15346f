import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Job, JobState, Metric } from "../../../src/core/job.ts";
import {
  bestOf,
  FAILED_ALIKE,
  foldRuns,
  GROUP_MS,
  groupOf,
  groupStates,
  tellAt,
  tellingOrder,
} from "../../../src/core/run-groups.ts";
import type { MetricValue } from "../../../src/core/run-task.ts";
import { renderRunTable } from "../../../src/prompt/run-table.ts";
import { RUN } from "../jobs/notify/runs-support.ts";
import { jobIn } from "../views/job-in.ts";

const values = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom("NaN", "Infinity", "-Infinity"),
);
const ends: fc.Arbitrary<JobState> = fc.oneof(
  fc.record({ kind: fc.constant("completed" as const), since: fc.nat(9), result: fc.constant("") }),
  fc.record({
    kind: fc.constant("failed" as const),
    since: fc.nat(9),
    failure: fc.record({
      code: fc.constantFrom("command_failed" as const, "timed_out" as const),
      message: fc.constant("m"),
      retryable: fc.constant(false),
    }),
  }),
  fc.record({ kind: fc.constant("queued" as const), since: fc.nat(9) }),
);

const job = fc.record({
  state: ends,
  call: fc.constantFrom("call_a", "call_b"),
  value: fc.option(values, { nil: undefined }),
  direction: fc.constantFrom("min" as const, "max" as const),
  metric: fc.constantFrom("loss", "__proto__"),
  isRun: fc.boolean(),
});

const jobs = fc.array(job, { maxLength: 30 }).map((all) =>
  all.map(({ state, call, value, direction, metric, isRun }, index): Job => {
    const { task, ...rest } = jobIn(state);
    const stop = { metric, direction, rungs: [1], keep: 0.5 };
    const metrics = Object.fromEntries(
      value === undefined ? [] : [[metric, { value, at: "", source: "output" as const }]],
    );
    return {
      ...rest,
      ...{ id: `job_${index}`, position: index + 1, startedAt: 1, metrics: metrics as Job["metrics"] },
      origin: { sessionID: "ses_o", messageID: "msg_1", callID: call },
      task: { ...task, run: isRun ? { ...RUN, stop } : null },
    };
  }),
);

const isCompleted = ({ state }: Job): boolean => state.kind === "completed";
const numberOf = ({ metrics, task }: Job): number => Number(metrics[task.run?.stop?.metric ?? ""]?.value ?? "none");

describe("the order in which ends are told", () => {
  test("has every job once, agents' jobs first and as they were, and the runs of each call together", () => {
    fc.assert(
      fc.property(jobs, (all) => {
        const told = tellingOrder(all);
        expect([...told].sort((a, b) => a.position - b.position)).toEqual(all);
        const agents = all.filter(({ task }) => task.run === null);
        expect(told.slice(0, agents.length)).toEqual(agents);
        const groups = told.slice(agents.length).map(groupOf);
        const changes = groups.filter((name, index) => name !== groups[index - 1]).length;
        expect(changes).toBe(new Set(groups).size);
      }),
    );
  });

  test("has no worse value before a better one of the same call, metric and state, and numbers before all else", () => {
    fc.assert(
      fc.property(jobs, (all) => {
        const told = tellingOrder(all).filter(({ task }) => task.run !== null);
        for (const [index, one] of told.entries()) {
          const rule = JSON.stringify(one.task.run?.stop);
          for (const later of told.slice(index + 1)) {
            if (groupOf(later) !== groupOf(one) || JSON.stringify(later.task.run?.stop) !== rule) continue;
            const [a, b] = [numberOf(one), numberOf(later)];
            if (!Number.isFinite(b)) continue;
            expect(Number.isFinite(a)).toBe(true);
            if (one.state.kind !== later.state.kind) expect([one, later].some(isCompleted)).toBe(isCompleted(one));
            if (one.state.kind !== later.state.kind) continue;
            if (one.task.run?.stop?.direction === "min") expect(a).toBeLessThanOrEqual(b);
            else expect(a).toBeGreaterThanOrEqual(b);
          }
        }
      }),
    );
  });
});

describe("the best of runs that were stopped early or cancelled", () => {
  const swept = (id: string, loss: MetricValue, state: JobState["kind"], rung?: number): Job => {
    const made = jobIn({ kind: state });
    const stop = { metric: "loss", direction: "min" as const, rungs: [1, 2], keep: 0.5 };
    return {
      ...made,
      ...{ id, origin: { sessionID: "s", messageID: "m", callID: "c" }, stopped: rung === undefined ? null : { rung, value: loss, cut: 0 } }, // biome-ignore format: one line
      metrics: { loss: { value: loss, at: "", source: "output" } },
      task: { ...made.task, run: { ...RUN, stop } },
    };
  };
  const stopped = [swept("early_1", 0.44, "cancelled", 1), swept("early_2", 0.5, "cancelled", 2)];
  const running = swept("running", 0.47, "running");
  const completed = [swept("done_1", 0.62, "completed"), swept("done_2", 0.61, "completed")];

  test("is a completed one, however good the values were at which others were stopped, and else one at work", () => {
    expect(bestOf([...stopped, running, ...completed])?.job.id).toBe("done_2");
    expect(bestOf([...stopped, running])?.job.id).toBe("running");
    expect(bestOf(stopped)?.job.id).toBe("early_2");
    expect(bestOf([swept("diverged", "NaN", "completed"), ...stopped])?.job.id).toBe("early_2");
  });

  test("may be a control that no early stopping may end, which is compared with the others of its call", () => {
    const { task, ...rest } = swept("control", 9.5, "completed");
    const control = { ...rest, task: { ...task, description: "control", run: RUN } };
    expect(tellingOrder([control, ...completed]).map(({ id }) => id)).toEqual(["done_2", "done_1", "control"]);
    expect(bestOf([control, ...completed])).toMatchObject({ job: { id: "done_2" }, metric: "loss" });
    const good = { ...control, metrics: swept("", 0.3, "completed").metrics };
    expect(bestOf([good, ...completed])).toMatchObject({ job: { id: "control" }, metric: "loss" });
    expect(renderRunTable([good, ...completed], 5_000)).toContain("best first by loss (min).\n1. control  loss 0.3");
  });

  test("is none that has another metric or is compared by nothing: that stands behind, which the table says", () => {
    const { task, ...rest } = swept("other", 0.1, "completed");
    const other = { ...rest, metrics: { speed: rest.metrics.loss as Metric }, task: { ...task, run: RUN } };
    expect(tellingOrder([other, ...completed]).map(({ id }) => id)).toEqual(["done_2", "done_1", "other"]);
    const table = renderRunTable([other, ...completed], 5_000);
    expect(table).toContain("best first by loss (min), last 1 that is compared by nothing.");
    expect(bestOf([other, ...completed])?.job.id).toBe("done_2");
    expect(bestOf([other])).toBeUndefined();
  });

  test("is told first, and those that were stopped last, the latest stopped first", () => {
    const all = [...stopped, swept("cancelled", 0.1, "cancelled"), ...completed];
    expect(tellingOrder(all).map(({ id }) => id)).toEqual(["done_2", "done_1", "early_2", "early_1", "cancelled"]);
    expect(renderRunTable(all, 5_000)).toContain("best first by loss (min), those that did not complete behind");
    expect(renderRunTable(completed, 5_000)).toContain("best first by loss (min).");
  });
});

describe("when ends are told", () => {
  test("never later than ten minutes after the first that is untold, and at once when no run of the call is open", () => {
    fc.assert(
      fc.property(jobs, (all) => {
        for (const [name, state] of groupStates(all)) {
          const untold = all.filter((one) => groupOf(one) === name && one.state.kind !== "queued");
          if (untold.length === 0) continue;
          const first = Math.min(...untold.map(({ state: { since } }) => since));
          const at = tellAt(untold, state);
          expect([first, first + GROUP_MS]).toContain(at);
          if (state.open === 0) expect(at).toBe(first);
          else if (!state.failsAlike || state.ended < FAILED_ALIKE) expect(at).toBe(first + GROUP_MS);
        }
      }),
    );
  });

  test("a task that was refused is no end of its call's runs: the call has told of it", () => {
    const { task, ...rest } = jobIn({
      kind: "failed",
      failure: { code: "invalid_task", message: "m", retryable: false },
    });
    const refused = { ...rest, task: { ...task, run: RUN }, createdAt: rest.state.since };
    expect(groupStates([refused]).size).toBe(0);
    expect(groupStates([{ ...refused, startedAt: 1 }]).size).toBe(1);
  });

  test("runs that a job's agent has started are not the orchestrator's", () => {
    const { task, ...rest } = jobIn({ kind: "queued" });
    expect(groupOf({ ...rest, startedBy: "job_9", task: { ...task, run: RUN } })).toBeNull();
    expect(groupOf({ ...rest, task: { ...task, run: RUN } })).toBe("job_1");
  });
});

describe("a list of jobs", () => {
  const nested = (count: number, starter: string): Job[] =>
    Array.from({ length: count }, (_, n) => {
      const { task, ...rest } = jobIn({ kind: "queued" });
      return { ...rest, id: `${starter}_${n}`, startedBy: starter, task: { ...task, run: RUN } };
    });

  test("shows an orchestrator the runs of each agent as one group, and the agent its own as those of a call", () => {
    const all = [...nested(12, "job_1"), ...nested(3, "job_2")];
    const { own, folded } = foldRuns(all);
    expect(own.map(({ id }) => id)).toEqual(["job_2_0", "job_2_1", "job_2_2"]);
    expect(folded.map(({ starter, runs }) => [starter, runs.length])).toEqual([["job_1", 12]]);
    expect(foldRuns(all, { few: 32, fewNested: 32 }).own).toEqual(all);
    expect(foldRuns(nested(4, "job_1"), { viewer: "job_1" }).own.length).toBe(4);
  });

  test("has every job either in a line of its own or in groups, whoever looks", () => {
    fc.assert(
      fc.property(jobs, fc.constantFrom(null, "job_0", "job_1"), fc.nat(6), (all, viewer, few) => {
        const started = all.map((one, n) =>
          one.task.run !== null && n % 3 === 0 ? { ...one, startedBy: `job_${n % 2}` } : one,
        );
        const { own, folded } = foldRuns(started, { few, viewer });
        const shown = new Set([...own, ...folded.flatMap(({ runs }) => runs)]);
        expect(shown.size).toBe(all.length);
        const grouped = folded.flatMap(({ runs }) => runs);
        expect(new Set(grouped).size).toBe(grouped.length);
      }),
    );
  });
});
