import { expect, test } from "bun:test";
import type { Job } from "../../../src/core/job.ts";
import type { RunTask } from "../../../src/core/run-task.ts";
import { leavesSandbox, livesLongEnough, reuseKey, takesSandbox } from "../../../src/core/sandbox-reuse.ts";
import { jobIn } from "../views/job-in.ts";

const RUN: RunTask = {
  command: "true",
  params: {},
  metrics: {},
  files: [],
  reuse: true,
  stop: null,
  measures: null,
};
const origin = { sessionID: "ses", messageID: "msg", callID: "call" };
const runIn = (state: Job["state"], more: Partial<Job> = {}, run: Partial<RunTask> = {}): Job => {
  const job = jobIn(state);
  return { ...job, origin, ...more, task: { ...job.task, gpu: null, ...more.task, run: { ...RUN, ...run } } };
};
const QUEUED: Job["state"] = { kind: "queued", since: 0 };
const DONE: Job["state"] = { kind: "completed", since: 0, result: "" };

test("runs share sandboxes within their call and with the same needs and results, never across, and agents never", () => {
  const one = runIn(QUEUED);
  expect(reuseKey(one)).toBe(reuseKey(runIn(QUEUED, {}, { command: "false", params: { LR: 1 } })));
  const others = [
    runIn(QUEUED, { origin: { ...origin, callID: "other" } }),
    runIn(QUEUED, { origin: { ...origin, messageID: "a later one" } }),
    runIn(QUEUED, { provider: "modal" === one.provider ? "local" : "modal" }),
    runIn(QUEUED, { task: { ...one.task, environment: "other" } }),
    runIn(QUEUED, { task: { ...one.task, snapshotID: "snap_other" } }),
    runIn(QUEUED, {}, { files: ["*.json"] }),
  ];
  for (const other of others) expect(reuseKey(other)).not.toBe(reuseKey(one));
  const never = [
    jobIn(QUEUED),
    runIn(QUEUED, {}, { reuse: false }),
    runIn(QUEUED, { origin: null }),
    runIn(QUEUED, { task: { ...one.task, gpu: "H100" } }),
  ];
  for (const job of never) expect(reuseKey(job)).toBeNull();
});

test("only a run whose command succeeded leaves its sandbox, and only one without a sandbox takes it", () => {
  const sandbox = { kind: "live", id: "sbx" } as const;
  expect(leavesSandbox(runIn(DONE, { exitCode: 0, sandbox }))).toBe(true);
  expect(leavesSandbox(runIn(DONE, { exitCode: 0, sandbox: { kind: "gone" } }))).toBe(false);
  const failure = { code: "command_failed", message: "", retryable: false } as const;
  for (const state of [
    { kind: "failed", since: 0, failure },
    { kind: "cancelled", since: 0, reason: null },
  ] as const)
    expect(leavesSandbox(runIn(state, { exitCode: 1, sandbox }))).toBe(false);
  expect(takesSandbox(runIn(QUEUED, { sandbox: { kind: "none" } }))).toBe(true);
  expect(takesSandbox(runIn(QUEUED, { sandbox }))).toBe(false);
  expect(takesSandbox(runIn(DONE, { sandbox: { kind: "none" } }))).toBe(false);
});

test("a sandbox is given on only while it lives long enough for the whole limit of the next run", () => {
  expect([livesLongEnough(null, 10, 0), livesLongEnough(20, 10, 10), livesLongEnough(20, 10, 11)]).toEqual([
    true,
    true,
    false,
  ]);
});
