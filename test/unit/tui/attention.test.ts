import { expect, test } from "bun:test";
import { createTurns, newsOf, type ToldOtherwise } from "../../../src/tui/attention.ts";
import type { LabChange } from "../../../src/tui/lab-source.ts";
import type { JobView } from "../../../src/views/job-view.ts";
import { iso, sampleJob, sampleView } from "../../support/sample-lab.ts";

const error = { code: "command_failed", message: "exit code 3", retryable: false } as const;
const view = (jobs: readonly JobView[], usd = 0, budgetUsd: number | null = null) =>
  sampleView("s", jobs, { spend: { usd, modelUsd: usd, computeUsd: 0, budgetUsd, usdPerHour: 0 } });
const untold: ToldOtherwise = { isFailureTold: false, wasAtWork: () => false };
const news = (change: LabChange, told: Partial<ToldOtherwise> = {}) =>
  Object.values(newsOf(change, { ...untold, ...told })).filter((message) => message !== null);
const running = [sampleJob("a"), sampleJob("b")];

test("the end of the last job is news, the end of another is not", () => {
  const half = [sampleJob("a", { state: "completed" }), sampleJob("b")];
  const all = [sampleJob("a", { state: "completed" }), sampleJob("b", { state: "failed", sessionID: "c", error })];
  expect(news({ before: view(running), after: view(half) })).toEqual([]);
  expect(news({ before: view(half), after: view(all, 0.5) })).toEqual([
    "All jobs have ended: 1 done, 1 failed, $0.50.",
  ]);
  expect(news({ before: view(all), after: view(all) })).toEqual([]);
});

test("a failure is news only where the host has no conversation that it rings for", () => {
  const failed = (sessionID?: string) => [
    sampleJob("a", { state: "failed", error, ...(sessionID && { sessionID }) }),
    sampleJob("b"),
  ];
  expect(news({ before: view(running), after: view(failed()) })).toEqual([
    '"job a" failed: command_failed: exit code 3.',
  ]);
  expect(news({ before: view(running), after: view(failed("child")) })).toEqual([]);
});

test("the budget is news when most of it is spent, and when all is", () => {
  const at = (usd: number) => view(running, usd, 10);
  expect(news({ before: at(7), after: at(8.5) })).toEqual(["The jobs of a session have spent $8.50 of their $10.00."]);
  expect(news({ before: at(8.5), after: at(9) })).toEqual([]);
  expect(news({ before: at(9), after: at(10) })).toHaveLength(1);
  expect(news({ before: view(running, 7), after: view(running, 20) })).toEqual([]);
});

test("what was there before anyone looked, and an interruption, are no news", () => {
  expect(news({ before: null, after: view([sampleJob("a", { state: "failed", error })], 9, 10) })).toEqual([]);
  expect(news({ before: view(running), after: view([sampleJob("a", { state: "interrupted" })]) })).toEqual([]);
});

test("the first failure of a batch is told, and no other until its end, which counts them", () => {
  const failing = (id: string) => sampleJob(id, { state: "failed", error });
  const more = [failing("a"), sampleJob("b")];
  const all = [failing("a"), failing("b")];
  expect(news({ before: view(running), after: view(more) }, { isFailureTold: true })).toEqual([]);
  expect(news({ before: view(more), after: view(all) })).toEqual(["All jobs have ended: 0 done, 2 failed."]);
});

test("the end of a batch within a turn is not told: the host tells the end of the turn", () => {
  let now = Date.parse(iso(10));
  const turns = createTurns(() => now);
  const all = [sampleJob("a", { state: "completed", endedAt: iso(20) })];
  const told = () =>
    news({ before: view(running), after: view(all) }, { wasAtWork: (at) => turns.wasAtWork("s", at) }).length;
  expect(told()).toBe(1);
  turns.hear("s", true);
  turns.hear("s", true); // each step of a turn says so
  expect(told()).toBe(0);
  now = Date.parse(iso(30));
  turns.hear("s", false);
  turns.hear("s", false);
  expect(told()).toBe(0);
  now = Date.parse(iso(40));
  turns.hear("s", true); // woken by the ends
  expect(told()).toBe(1);
});
