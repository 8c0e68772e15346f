import { expect, test } from "bun:test";
import { gpusOf } from "../../../src/config/gpu.ts";
import { describeGpuWait, holdMs, isWaitOver, toGpuWaitLimits, waitedSince } from "../../../src/core/gpu-wait.ts";

const MINUTE = 60_000;
const limits = toGpuWaitLimits(20);

test("each GPU of a preference list is waited for its share, within what is left, and at least for a last try", () => {
  const at = (count: number, minutes: number) => holdMs(0, count, limits, minutes * MINUTE) / MINUTE;
  expect([at(1, 0), at(2, 0), at(3, 0)]).toEqual([20, 10, 20 / 3]);
  expect([at(2, 12), at(2, 19.9), at(2, 400)]).toEqual([8, 0.5, 0.5]);
  expect(holdMs(0, 2, toGpuWaitLimits(0.1), 99 * MINUTE)).toBe(3_000); // never longer than a share
});

test("the wait is over at its end, and pauses are short beside it", () => {
  expect([19.9, 20].map((minutes) => isWaitOver(0, limits, minutes * MINUTE))).toEqual([false, true]);
  expect([limits.pauseMs, toGpuWaitLimits(0.1).pauseMs]).toEqual([30_000, 600]);
});

test("a job in the queue says which GPUs it waits for, for how long, and when it asks again", () => {
  const wait = { since: 0, retryAt: 3.5 * MINUTE, isUnreachable: false };
  expect(describeGpuWait(gpusOf("h100:8|H200"), wait, 3.2 * MINUTE)).toBe(
    "its provider has no H100:8 or H200 free, 3 min; asks again in 18 s",
  );
  expect(describeGpuWait(gpusOf(null), { ...wait, isUnreachable: true }, 3.2 * MINUTE)).toBe(
    "its provider cannot be reached, 3 min; asks again in 18 s",
  );
});

test("a wait for a GPU and one for the provider to be reached do not count as one", () => {
  const wait = { since: 5, retryAt: null, isUnreachable: true };
  expect([waitedSince(wait, true, 9), waitedSince(wait, false, 9), waitedSince(null, true, 9)]).toEqual([5, 9, 9]);
});
