import { expect, test } from "bun:test";
import fc from "fast-check";
import { entriesOf } from "../../../../src/tui/full-view/entries.ts";
import type { Entry, Listing } from "../../../../src/tui/full-view/entry.ts";
import { nextShown, SHOWN } from "../../../../src/tui/full-view/filter.ts";
import { directionOf, metricsIn, nextMetric } from "../../../../src/tui/full-view/ranking.ts";
import type { JobView } from "../../../../src/views/job-view.ts";
import { iso } from "../../../support/sample-lab.ts";
import { anyJobs, jobView, number } from "./sample-jobs.ts";

const PLAIN: Listing = {
  order: "urgency",
  metric: null,
  direction: null,
  show: "all",
  filter: "",
  isQueueOpen: true,
  folded: new Set(),
  asking: new Set(),
};

const listed = (jobs: readonly JobView[], listing: Partial<Listing> = {}) =>
  entriesOf(jobs, { ...PLAIN, ...listing }).map((entry) =>
    entry.kind === "job"
      ? `${entry.branch}${entry.job.id}`
      : entry.kind === "fold"
        ? `${entry.jobs.length} wait`
        : entry.title,
  );
const ids = (entries: readonly Entry[]) => entries.flatMap((entry) => (entry.kind === "job" ? [entry.job.id] : []));

test("in every order each job has exactly one row, whatever the links between jobs are", () => {
  const orders = fc.constantFrom("urgency" as const, "tree" as const, "rank" as const);
  fc.assert(
    fc.property(anyJobs, orders, fc.constantFrom("loss", "__proto__", null), (jobs, order, metric) => {
      const entries = entriesOf(jobs, { ...PLAIN, order, metric });
      expect(ids(entries).sort()).toEqual(jobs.map(({ id }) => id).sort());
      expect(new Set(entries.map(({ key }) => key)).size).toBe(entries.length);
    }),
  );
});

test("what a tree sums up at its top is what all jobs took together", () => {
  fc.assert(
    fc.property(anyJobs, (jobs) => {
      const tops = entriesOf(jobs, { ...PLAIN, order: "tree" }).filter(
        (one) => one.kind === "job" && one.branch === "",
      );
      const sum = (of: (job: JobView) => number) => jobs.reduce((total, job) => total + of(job), 0);
      let [seconds, usd, count] = [0, 0, 0];
      for (const top of tops) {
        if (top.kind !== "job") continue;
        seconds += top.below?.seconds ?? top.job.elapsedSeconds;
        usd += top.below?.usd ?? top.job.usd.model + top.job.usd.compute;
        count += top.below?.jobs ?? 1;
      }
      expect([seconds, usd, count]).toEqual([
        sum(({ elapsedSeconds }) => elapsedSeconds),
        sum((job) => job.usd.model + job.usd.compute),
        jobs.length,
      ]);
    }),
  );
});

test("what waits for a person is first, then what runs, the queue in one row, and the newest that has ended", () => {
  const jobs = [
    jobView("done", { state: "completed", endedAt: "2026-01-01T00:00:00.000Z" }),
    jobView("newer", { state: "completed", endedAt: "2026-01-01T00:01:00.000Z" }),
    jobView("second", { state: "queued", queuePosition: 2 }),
    jobView("first", { state: "queued", queuePosition: 1 }),
    jobView("runs"),
    jobView("asks"),
    jobView("failed", { state: "failed", endedAt: "2026-01-01T00:00:30.000Z" }),
    jobView("stopped", { state: "interrupted" }),
    jobView("lost", { state: "cancelled", endedAt: "2026-01-01T00:00:10.000Z" }),
  ];
  const asking = new Set(["asks"]);
  expect(listed(jobs, { asking, isQueueOpen: false })).toEqual([
    ...["Needs you", "asks", "stopped", "failed", "Running", "runs", "Queued", "2 wait"],
    ...["Ended", "newer", "lost", "done"],
  ]);
  expect(listed(jobs, { asking }).slice(6, 10)).toEqual(["Queued", "2 wait", "first", "second"]);
  expect(listed([jobView("only", { state: "queued" })])).toEqual(["Queued", "only"]);
});

test("a tree hangs jobs below those whose files they started with, and folds", () => {
  const jobs = [
    jobView("root"),
    jobView("a", { parent: "root" }),
    jobView("b", { parent: "root" }),
    jobView("a1", { parent: "a" }),
    jobView("run", { startedBy: "b" }),
    jobView("orphan", { parent: "gone" }),
  ];
  expect(listed(jobs, { order: "tree" })).toEqual(["root", "├ a", "│ └ a1", "└ b", "  └ run", "orphan"]);
  expect(listed(jobs, { order: "tree", folded: new Set(["a", "orphan"]) })).toEqual([
    "root",
    "├ a",
    "└ b",
    "  └ run",
    "orphan",
  ]);
});

test("a chain of thousands of forks, and forks in a circle, are shown", () => {
  const chain = Array.from({ length: 5_000 }, (_, at) => jobView(`j${at}`, at === 0 ? {} : { parent: `j${at - 1}` }));
  const entries = entriesOf(chain, { ...PLAIN, order: "tree" });
  expect(entries.length).toBe(5_000);
  expect(entries[0]).toMatchObject({ below: { jobs: 5_000 } });
  expect(entries.at(-1)).toMatchObject({ branch: expect.stringMatching(/^.{2,18}$/) });
  const circle = [jobView("a", { parent: "b" }), jobView("b", { parent: "a" }), jobView("self", { parent: "self" })];
  expect(ids(entriesOf(circle, { ...PLAIN, order: "tree" })).sort()).toEqual(["a", "b", "self"]);
});

test("jobs are ranked by a metric as experiments are, and those without a place come below, with the reason", () => {
  const ended = { state: "completed", endedAt: iso(9) } as const;
  const loss = (value: Parameters<typeof number>[0]) => ({ metrics: { loss: number(value), acc: number(1) } });
  const claim = { ...number(0.001), source: "reported" } as const;
  const jobs = [
    jobView("none"),
    jobView("worse", { ...ended, ...loss(2) }),
    jobView("broken", { ...ended, ...loss("NaN") }),
    jobView("best", { ...ended, metrics: { loss: number(0.1) } }),
    jobView("same", { ...ended, ...loss(0.1) }),
    jobView("endless", { ...ended, ...loss("Infinity") }),
    jobView("runs", loss(0.01)),
    jobView("claims", { ...ended, metrics: { loss: claim } }),
    jobView("failed", { ...ended, state: "failed", ...loss(0.02) }),
    jobView("stopped", { ...ended, state: "cancelled", ...loss(0.03), stopped: { rung: 1, value: 0.03, cut: 0.02 } }),
  ];
  expect(metricsIn(jobs)).toEqual(["loss", "acc"]);
  const show = (more: Partial<Listing> = {}) =>
    entriesOf(jobs, { ...PLAIN, order: "rank", metric: "loss", direction: directionOf("loss", null), ...more }).map(
      (one) => (one.kind === "job" ? [one.key, one.rank] : one.kind === "heading" ? one.title : one.kind),
    );
  expect(show()).toEqual([
    ...[
      ["best", 1],
      ["same", 1],
      ["worse", 3],
      ["endless", 4],
      ["broken", null],
    ],
    ...["Not ranked: only claimed", ["claims", null]],
    ...["Not ranked: not ended", ["runs", null]],
    ...["Not ranked: stopped early", ["stopped", null]],
    ...["Not ranked: failed or cancelled", ["failed", null]],
    ...["Without this metric", ["none", null]],
  ]);
  expect(show({ filter: "claims" })).toEqual(["Not ranked: only claimed", ["claims", null]]);
  expect(directionOf("loss", "max")).toBe("max");
  expect([nextMetric(["a", "b"], null, 1), nextMetric(["a", "b"], "b", 1), nextMetric(["a", "b"], "a", -1)]).toEqual([
    "a",
    "a",
    "b",
  ]);
  expect([nextMetric([], "a", 1), nextMetric(["a"], "gone", -1)]).toEqual([null, "a"]);
});

test("a filter finds words in what is shown, each of them, and states are left out by the key for it", () => {
  const jobs = [
    jobView("j1", {
      description: "Train the LARGE model",
      state: "failed",
      error: { code: "timeout", message: "late", retryable: null },
    }),
    jobView("j2", { description: "train small", params: { lr: "0.1" } }),
    jobView("j3", { state: "completed", status: "exited (127)" }),
  ];
  expect(listed(jobs, { filter: "train large" })).toEqual(["Needs you", "j1"]);
  expect(listed(jobs, { filter: "LR=0.1" })).toEqual(["Running", "j2"]);
  expect(listed(jobs, { filter: "(127" })).toEqual(["Ended", "j3"]);
  expect(listed(jobs, { filter: "timeout" })).toEqual(["Needs you", "j1"]);
  expect(listed(jobs, { filter: "\x1b[31m  " }).length).toBe(6);
  expect(listed(jobs, { show: "running and failed" })).toEqual(["Needs you", "j1", "Running", "j2"]);
  expect(listed(jobs, { show: "failed" })).toEqual(["Needs you", "j1"]);
  expect(listed(jobs, { show: "running" })).toEqual(["Running", "j2"]);
  expect(SHOWN.map(nextShown)).toEqual(["running and failed", "running", "failed", "all"]);
});
