import { expect, test } from "bun:test";
import { newsOf } from "../../../src/tui/attention.ts";
import type { JobView } from "../../../src/views/job-view.ts";
import { sampleJob, sampleView } from "../../support/sample-lab.ts";

const error = { code: "command_failed", message: "exit code 3", retryable: false } as const;
const view = (jobs: readonly JobView[], usd = 0, budgetUsd: number | null = null) =>
  sampleView("s", jobs, { spend: { usd, modelUsd: usd, computeUsd: 0, budgetUsd, usdPerHour: 0 } });
const running = [sampleJob("a"), sampleJob("b")];

test("the end of the last job is news, the end of another is not", () => {
  const half = [sampleJob("a", { state: "completed" }), sampleJob("b")];
  const all = [sampleJob("a", { state: "completed" }), sampleJob("b", { state: "failed", sessionID: "c", error })];
  expect(newsOf({ before: view(running), after: view(half) })).toEqual([]);
  expect(newsOf({ before: view(half), after: view(all, 0.5) })).toEqual([
    "All jobs have ended: 1 done, 1 failed, $0.50.",
  ]);
  expect(newsOf({ before: view(all), after: view(all) })).toEqual([]);
});

test("a failure is news only where the host has no conversation that it rings for", () => {
  const failed = (sessionID?: string) => [
    sampleJob("a", { state: "failed", error, ...(sessionID && { sessionID }) }),
    sampleJob("b"),
  ];
  expect(newsOf({ before: view(running), after: view(failed()) })).toEqual([
    '"job a" failed: command_failed: exit code 3.',
  ]);
  expect(newsOf({ before: view(running), after: view(failed("child")) })).toEqual([]);
});

test("the budget is news when most of it is spent, and when all is", () => {
  const at = (usd: number) => view(running, usd, 10);
  expect(newsOf({ before: at(7), after: at(8.5) })).toEqual([
    "The jobs of a session have spent $8.50 of their $10.00.",
  ]);
  expect(newsOf({ before: at(8.5), after: at(9) })).toEqual([]);
  expect(newsOf({ before: at(9), after: at(10) })).toHaveLength(1);
  expect(newsOf({ before: view(running, 7), after: view(running, 20) })).toEqual([]);
});

test("what was there before anyone looked, and an interruption, are no news", () => {
  expect(newsOf({ before: null, after: view([sampleJob("a", { state: "failed", error })], 9, 10) })).toEqual([]);
  expect(newsOf({ before: view(running), after: view([sampleJob("a", { state: "interrupted" })]) })).toEqual([]);
});
