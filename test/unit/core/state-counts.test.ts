import { expect, test } from "bun:test";
import type { Job } from "../../../src/core/job.ts";
import { countStates, inOrder } from "../../../src/core/state-counts.ts";

const jobs = ["completed", "running", "failed", "completed"].map((kind) => ({ state: { kind } }) as Pick<Job, "state">);

test("jobs are counted by state, in the order in which the states are met", () => {
  expect([...countStates(jobs)]).toEqual([
    ["completed", 2],
    ["running", 1],
    ["failed", 1],
  ]);
  expect(countStates([]).size).toBe(0);
});

test("counts come in the order asked for", () => {
  const counts = inOrder(countStates(jobs), ["running", "completed", "failed"]);
  expect([...counts.keys()]).toEqual(["running", "completed", "failed"]);
});
