import { expect, test } from "bun:test";
import type { Job, JobState } from "../../../src/core/job.ts";
import { withoutOlder } from "../../../src/tools/job-views.ts";
import { jobIn } from "../views/job-in.ts";

const MOST = 600;

const jobs = (count: number, kindOf: (n: number) => JobState["kind"]): Job[] =>
  Array.from({ length: count }, (_, n) => ({ ...jobIn({ kind: kindOf(n) }), id: `job_${n}` }));
const numbers = (kept: readonly Job[]) => kept.map(({ id }) => Number(id.slice("job_".length)));
const from = (first: number, count: number) => Array.from({ length: count }, (_, n) => first + n);

test("few jobs are all kept", () => {
  const few = jobs(MOST, () => "completed");
  expect(withoutOlder(few)).toBe(few);
});

test("of many ended jobs the newest are kept, in their order", () => {
  const kept = withoutOlder(jobs(1_000, (n) => (n % 2 === 0 ? "failed" : "completed")));
  expect(numbers(kept)).toEqual(from(400, MOST));
});

test("those at work are kept however old, then the newest queued ones, then ended ones", () => {
  const kept = withoutOlder(jobs(1_000, (n) => (n < 10 ? "running" : n < 300 ? "queued" : "completed")));
  expect(numbers(kept)).toEqual([...from(0, 300), ...from(700, 300)]);
  const queued = withoutOlder(jobs(1_000, (n) => (n < 10 ? "running" : n < 900 ? "queued" : "completed")));
  expect(numbers(queued)).toEqual([...from(0, 10), ...from(310, 590)]);
});

test("more jobs at work than that are all kept, and no other", () => {
  const kept = withoutOlder(jobs(1_000, (n) => (n < 700 ? "running" : "queued")));
  expect(numbers(kept)).toEqual(from(0, 700));
});
