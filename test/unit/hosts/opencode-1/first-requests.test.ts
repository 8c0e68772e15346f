import { expect, test } from "bun:test";
import { createFirstRequests } from "../../../../src/hosts/opencode-1/first-requests.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

function open() {
  const clock = createFakeClock();
  const requests = createFirstRequests(clock);
  let isSettled = false;
  const settle = () => void requests.settled().then(() => (isSettled = true));
  return { clock, requests, settle, isSettled: () => isSettled };
}

test("a call that has started jobs waits until the last of them is asked", async () => {
  const { clock, requests, settle, isSettled } = open();
  settle();
  requests.begun("job_1");
  requests.begun("job_2");
  await clock.advance(10);
  requests.over("job_1");
  await clock.advance(10);
  expect(isSettled()).toBe(false);
  requests.over("job_2");
  await clock.advance(0);
  expect(isSettled()).toBe(true);
});

test("it waits for half a second at most, and not at all where no job begins", async () => {
  const none = open();
  none.settle();
  await none.clock.advance(1);
  expect(none.isSettled()).toBe(true);
  const { clock, requests, settle, isSettled } = open();
  requests.begun("job_1");
  settle();
  await clock.advance(499);
  expect(isSettled()).toBe(false);
  await clock.advance(2);
  expect(isSettled()).toBe(true);
});
