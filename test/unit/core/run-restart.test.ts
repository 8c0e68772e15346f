import { expect, test } from "bun:test";
import type { Job, StartedProcess } from "../../../src/core/job.ts";
import { decideRunStart, withCommandStopped } from "../../../src/core/run-restart.ts";

const tried = (more: Partial<StartedProcess> = {}): StartedProcess => ({
  id: "job_1",
  command: "train",
  log: null,
  sandboxID: "sbx_1",
  ...more,
});

const facts = { attemptsBefore: 1, hasItsFiles: true };

test("an attempt that was counted and has not begun is the first of its command, whoever takes the run up", () => {
  const start = (attempts: number, last: StartedProcess, attemptsBefore = attempts) =>
    decideRunStart({ attempts, processes: [last] }, { attemptsBefore, hasItsFiles: false });
  expect(start(2, tried({ attempt: 1 }))).toBe("first");
  expect(start(2, tried({ attempt: 1, stopped: true }))).toBe("first");
  expect(start(2, tried({ attempt: 2 }))).toBe("over");
  expect(start(1, tried({ attempt: 1 }))).toBe("again");
  // An earlier version did not record it.
  expect(start(2, tried(), 1)).toBe("first");
  expect(start(2, tried())).toBe("over");
});

test("a command that OpenCode stopped begins anew, however often", () => {
  expect(decideRunStart({ attempts: 1, processes: [tried({ attempt: 1, stopped: true })] }, facts)).toBe("anew");
  expect(decideRunStart({ attempts: 2, processes: [tried({ attempt: 2, stopped: true })] }, facts)).toBe("anew");
});

test("only a command that is under way is marked as stopped", () => {
  const job = (more: Partial<Job>) =>
    ({ task: { run: {} }, state: { kind: "running" }, loss: null, processes: [tried()], ...more }) as Job;
  const isMarked = (more: Partial<Job>) => withCommandStopped(job(more)).processes[0]?.stopped === true;
  const live = { kind: "live", id: "sbx_1" } as const;
  expect(isMarked({ sandbox: live })).toBe(true);
  expect(isMarked({ sandbox: { kind: "live", id: "sbx_2" } })).toBe(false);
  expect(isMarked({ sandbox: { kind: "parked", snapshotID: "snap_1" } })).toBe(false);
  expect(isMarked({ sandbox: live, loss: { at: 0, why: "lost", files: null } })).toBe(false);
  expect(isMarked({ sandbox: live, loss: { at: 0, why: "lost before", files: { kind: "none" } } })).toBe(true);
});
