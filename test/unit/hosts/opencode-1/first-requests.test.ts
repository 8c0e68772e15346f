import { expect, test } from "bun:test";
import { createFirstRequests } from "../../../../src/hosts/opencode-1/first-requests.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

/** A call that has started these jobs, and whether it has answered. */
function answer(jobIDs: readonly string[]) {
  const clock = createFakeClock();
  const requests = createFirstRequests(clock);
  const stop = new AbortController();
  const state = { isDone: false };
  void requests.sent(jobIDs, stop.signal).then(() => {
    state.isDone = true;
  });
  return { clock, requests, stop, state };
}

test("an answer waits until the models of the jobs that have begun are asked, not for jobs in the queue", async () => {
  const { clock, requests, state } = answer(["job_1", "job_2", "job_3"]);
  requests.begins("job_1");
  requests.begins("job_2");
  await clock.advance(100);
  requests.isSent("job_1");
  requests.isSent("job_of_another_call");
  await clock.advance(100);
  expect(state.isDone).toBe(false);
  requests.isSent("job_2");
  await clock.advance(1);
  expect(state.isDone).toBe(true);
});

test("an answer waits for nothing where no job has begun, half a second at most, and no longer than its turn", async () => {
  const queued = answer(["job_1"]);
  await queued.clock.advance(1);
  expect(queued.state.isDone).toBe(true);

  const slow = answer(["job_1"]);
  slow.requests.begins("job_1");
  await slow.clock.advance(499);
  expect(slow.state.isDone).toBe(false);
  await slow.clock.advance(2);
  expect(slow.state.isDone).toBe(true);

  const stopped = answer(["job_1"]);
  stopped.requests.begins("job_1");
  await stopped.clock.advance(100);
  expect(stopped.state.isDone).toBe(false);
  stopped.stop.abort();
  await stopped.clock.advance(1);
  expect(stopped.state.isDone).toBe(true);
});
