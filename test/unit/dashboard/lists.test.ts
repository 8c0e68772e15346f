import { describe, expect, test } from "bun:test";
import { boundsOf, chooseJobs, createKeptCurves } from "../../../src/dashboard/page/layout/curves.ts";
import { bestForCost, filterRows, orderRows, toRows } from "../../../src/dashboard/page/layout/ledger.ts";
import { mixed, needsOf } from "../../../src/dashboard/page/layout/needs.ts";
import { createLargeLab } from "../../support/large-lab.ts";
import { sampleJob } from "../../support/sample-lab.ts";

const NO_SPEND = { problems: [], spend: null };

describe("what needs the user", () => {
  test("problems and a spend near the ceiling come first, then interrupted, failed and delayed jobs, the newest first", () => {
    const error = { code: "timed_out", message: "It took too long.", retryable: true };
    const jobs = [
      sampleJob("a", { state: "failed", error }),
      sampleJob("b", { reason: "model retry 3 of 5" }),
      sampleJob("c", { state: "queued", reason: "waiting for 1 H100" }),
      sampleJob("d", { state: "interrupted" }),
      sampleJob("e", { state: "failed", error }),
      sampleJob("f", { state: "completed" }),
    ];
    const spend = { usd: 20, modelUsd: 0, computeUsd: 20, budgetUsd: 25, usdPerHour: 0 };
    expect(
      needsOf(jobs, { problems: ["A file is damaged."], spend }).map(({ kind, text }) => `${kind}: ${text}`),
    ).toEqual([
      "problem: A file is damaged.",
      "budget: 80 % of the session's ceiling is spent",
      "interrupted: job d",
      "failed: job e: It took too long.",
      "failed: job a: It took too long.",
      "delayed: job b: model retry 3 of 5",
    ]);
  });

  test("a hundred interrupted jobs do not hide a failed one", () => {
    const jobs = Array.from({ length: 100 }, (_, index) => sampleJob(`i${index}`, { state: "interrupted" }));
    const all = needsOf([sampleJob("x", { state: "failed" }), ...jobs], NO_SPEND);
    expect(
      mixed(all)
        .slice(0, 3)
        .map(({ kind }) => kind),
    ).toEqual(["interrupted", "interrupted", "failed"]);
    expect(mixed(all)).toHaveLength(101);
  });
});

describe("the ledger", () => {
  const rows = toRows(createLargeLab(1, 5_000).ledger ?? { entries: [] });

  test("is filtered by every word, in parameters and verdicts too", () => {
    const found = filterRows(rows, "  LR=3e-4 better ");
    expect(found.length).toBeGreaterThan(0);
    expect(found.every(({ entry }) => entry.view.params?.lr === "3e-4" && entry.view.verdict === "better")).toBe(true);
    expect(filterRows(rows, " ")).toBe(rows);
    expect(filterRows(rows, "no such word")).toEqual([]);
  });

  test("is ordered by rank, number, cost or age, and what is no number comes last", () => {
    const [first, second] = rows as [(typeof rows)[0], (typeof rows)[0]];
    const strange = { ...first, mean: Number.NaN };
    expect(orderRows([strange, first, second], "mean").map(({ mean }) => mean)).toEqual([
      second.mean,
      first.mean,
      Number.NaN,
    ]);
    expect(orderRows(rows, "rank")).toBe(rows);
    for (const order of ["cost", "newest"] as const) expect(orderRows(rows, order)).toHaveLength(5_000);
  });

  test("the line of the best for their cost has what no other beats in both", () => {
    const best = bestForCost(rows, "min");
    const beats = (a: (typeof rows)[0], b: (typeof rows)[0]) =>
      a.entry.view.usd <= b.entry.view.usd &&
      a.mean <= b.mean &&
      (a.entry.view.usd < b.entry.view.usd || a.mean < b.mean);
    expect(best.length).toBeGreaterThan(0);
    for (const row of best) expect(rows.some((other) => beats(other, row))).toBe(false);
    const claims = best.map(
      ({
        entry: {
          view: { rank: _, ...view },
          ...entry
        },
        ...row
      }) => ({
        ...row,
        entry: { ...entry, view: { ...view, usd: 0 } },
        mean: -1,
      }),
    );
    expect(bestForCost([...rows, ...claims], "min")).toEqual(best); // numbers without a rank are not comparable
    expect(bestForCost(rows, "max").at(-1)?.mean).toBe(Math.max(...rows.map(({ mean }) => mean)));
  });
});

test("curves are drawn of jobs that run, then of the newest, whatever their metric is called", () => {
  const metrics = { ["__proto__"]: { value: 1, at: 0, source: "output" } } as never;
  const jobs = ["a", "b", "c", "d"].map((id) => ({
    id,
    state: id === "a" ? "running" : "completed",
    metrics: id === "d" ? {} : metrics,
  }));
  expect(chooseJobs(jobs, "__proto__", 2).map(({ id }) => id)).toEqual(["a", "c"]);
  expect(chooseJobs(jobs, "constructor", 2)).toEqual([]);
});

test("values that cannot be drawn do not spoil the bounds of the others", () => {
  const curve = (...values: (number | "NaN" | "Infinity")[]) => ({
    job: "a",
    reports: 1,
    notFinite: {},
    points: values.map((value, at) => ({ at, value })),
  });
  expect(boundsOf([curve("NaN", 2, "Infinity", 4)])).toEqual({ x: [1, 3], y: [2, 4] });
  expect(boundsOf([curve("NaN")])).toBeNull();
  expect(boundsOf([curve(3)])).toEqual({ x: [-1, 1], y: [2, 4] });
});

test("a curve that could not be read is read again, and meanwhile the last one of the same metric stands", async () => {
  const kept = createKeptCurves();
  const asked: string[] = [];
  const curve = (job: string, reports: number) => ({ job, reports, notFinite: {}, points: [] });
  const wanted = (of: string, state: string) => ["a", "b"].map((job) => ({ job, of, state }));
  const read =
    (reports: number, failing = "") =>
    async (job: string) => {
      asked.push(job);
      if (job === failing) throw new Error("the dashboard does not answer");
      return curve(job, reports);
    };
  expect(await kept.read(wanted("loss", "1"), read(1, "b"))).toEqual({ curves: [curve("a", 1)], isWhole: false });
  expect(await kept.read(wanted("loss", "1"), read(1))).toEqual({
    curves: [curve("a", 1), curve("b", 1)],
    isWhole: true,
  });
  expect(asked).toEqual(["a", "b", "b"]);
  expect(await kept.read(wanted("loss", "2"), read(2, "b"))).toEqual({
    curves: [curve("a", 2), curve("b", 1)],
    isWhole: false,
  });
  expect(await kept.read(wanted("acc", "2"), read(3, "b"))).toEqual({ curves: [curve("a", 3)], isWhole: false });
});
