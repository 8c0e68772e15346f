import { expect, test } from "bun:test";
import type { SessionEvent } from "../../../../src/core/ports.ts";
import { createFirstRequests } from "../../../../src/jobs/execution/first-requests.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

function open(...jobIDs: string[]) {
  const clock = createFakeClock();
  let listener: (event: SessionEvent) => void = () => {};
  const firstRequests = createFirstRequests({
    sessions: {
      on(one) {
        listener = one;
        return () => {};
      },
    },
    workers: {
      find: (session) =>
        session.startsWith("ses_") ? { sessionJobs: {} as SessionJobs, jobID: session.slice("ses_".length) } : null,
    },
    clock,
  });
  const over: string[] = [];
  const stop = new AbortController();
  for (const jobID of jobIDs) void firstRequests.over(jobID, stop.signal).then(() => over.push(jobID));
  return {
    firstRequests,
    over,
    clock,
    stop,
    async ask(...ids: string[]) {
      for (const id of ids) listener({ kind: "asked", sessionID: `ses_${id}` });
      await clock.advance(0);
    },
  };
}

test("the first requests of jobs that start together are over once all their models are asked", async () => {
  const { over, ask, clock } = open("a", "b");
  await ask("a", "other");
  expect(over).toEqual([]);
  await ask("b");
  expect(over.sort()).toEqual(["a", "b"]);
  expect(clock.pending()).toBe(0);
});

test("a job whose model is asked waits only for a moment for the others", async () => {
  const { over, ask, clock } = open("a", "b");
  await ask("a");
  await clock.advance(400);
  expect(over).toEqual(["a"]);
});

test("where the host never tells, they are over after three seconds", async () => {
  const { over, clock } = open("a");
  await clock.advance(2_999);
  expect(over).toEqual([]);
  await clock.advance(1);
  expect(over).toEqual(["a"]);
});

test("a job that is stopped, or whose sandbox comes first, keeps nothing waiting", async () => {
  const stopped = open("a", "b");
  stopped.stop.abort();
  await stopped.ask();
  expect([stopped.over.sort(), stopped.clock.pending()]).toEqual([["a", "b"], 0]);
  const late = open("a", "b");
  late.firstRequests.giveUp("a");
  await late.ask("b");
  expect([late.over.sort(), late.clock.pending()]).toEqual([["a", "b"], 0]);
});
