import { expect, test } from "bun:test";
import type { ChildSessions, SessionEvent } from "../../../../src/core/ports.ts";
import { createSessionActivity } from "../../../../src/jobs/execution/session-activity.ts";
import { createWorkers } from "../../../../src/jobs/execution/workers.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

const sessionID = "ses_child";

function open() {
  const clock = createFakeClock();
  const listeners = new Set<(event: SessionEvent) => void>();
  const sessions = {
    on(listener: (event: SessionEvent) => void) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  } as Partial<ChildSessions> as ChildSessions;
  const workers = createWorkers();
  workers.add(sessionID, { sessionJobs: { orchestrator: "ses_o" } as SessionJobs, jobID: "job_1" });
  const activity = createSessionActivity({ sessions, workers, clock, log: () => {} });
  const seen: unknown[] = [];
  activity.on((one) => seen.push(one));
  const emit = (event: SessionEvent) => {
    for (const listener of listeners) listener(event);
  };
  return { activity, clock, emit, listeners, seen };
}

const tool = (call: string, running: boolean): SessionEvent => ({ kind: "tool", sessionID, call, tool: `tool_${call}`, running }); // biome-ignore format: one line
const JOB = { orchestrator: "ses_o", jobID: "job_1" };

test("publishes a job whose tools or retries have changed, but not one whose model only shows activity", () => {
  const { activity, emit, seen } = open();
  emit({ kind: "output", sessionID });
  emit({ kind: "step", sessionID });
  expect(seen).toEqual([]);
  emit(tool("1", true));
  emit(tool("1", true));
  emit(tool("2", true));
  expect([seen, activity.of(sessionID).tool]).toEqual([[JOB, JOB], "tool_2"]);
  emit(tool("2", false));
  emit({ kind: "retry", sessionID, attempt: 1, message: "busy", nextAt: 5 });
  expect(seen).toHaveLength(4);
  expect(activity.of(sessionID)).toMatchObject({ tool: "tool_1", retry: { attempt: 1 } });
  emit({ kind: "output", sessionID });
  expect([seen.length, activity.of(sessionID).retry]).toEqual([5, null]);
  emit({ kind: "touched", sessionID });
  expect([seen.length, activity.of(sessionID).tool]).toEqual([6, null]);
});

test("publishes nothing for a session that belongs to no job", () => {
  const { emit, seen } = open();
  emit({ ...tool("1", true), sessionID: "ses_user" });
  expect(seen).toEqual([]);
});

test("dates the last activity only after a first prompt, and forgets it with the session", async () => {
  const { activity, clock, emit } = open();
  const at = () => activity.of(sessionID).lastActivityAt;
  emit({ kind: "output", sessionID });
  activity.heartbeat(sessionID, false);
  expect(at()).toBeNull();
  activity.heartbeat(sessionID, true);
  const begun = clock.now();
  await clock.advance(1_000);
  emit({ kind: "touched", sessionID });
  expect(at()).toBe(begun);
  emit({ kind: "output", sessionID });
  expect(at()).toBe(begun + 1_000);
  await clock.advance(1_000);
  activity.heartbeat(sessionID, false);
  expect(at()).toBe(begun + 2_000);
  emit({ kind: "deleted", sessionID });
  expect(at()).toBeNull();
});

test("ignores events once it is stopped", () => {
  const { activity, listeners } = open();
  activity.stop();
  expect(listeners.size).toBe(0);
});
