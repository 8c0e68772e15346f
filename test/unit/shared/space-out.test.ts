import { expect, test } from "bun:test";
import { spaceOut } from "../../../src/shared/space-out.ts";
import { createFakeClock, settle } from "../../support/fake-clock.ts";

test("works at the first call at once, and for all calls that come meanwhile once, a pause after it is done", async () => {
  const clock = createFakeClock();
  const begun: Array<{ at: number; end: () => void }> = [];
  const from = clock.now();
  const call = spaceOut(clock, 100, () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    begun.push({ at: clock.now() - from, end: resolve });
    return promise;
  });
  call();
  expect(begun.map(({ at }) => at)).toEqual([0]);
  await clock.advance(250);
  for (let calls = 0; calls < 1_000; calls += 1) call();
  await clock.advance(250);
  begun[0]?.end();
  await clock.advance(99);
  call();
  expect(begun).toHaveLength(1);
  await clock.advance(1);
  expect(begun.map(({ at }) => at)).toEqual([0, 600]);
  begun[1]?.end();
  await clock.advance(1_000);
  expect(begun).toHaveLength(2);
  call();
  expect(begun.map(({ at }) => at)).toEqual([0, 600, 1_600]);
});

test("goes on after work that failed", async () => {
  const clock = createFakeClock();
  let begun = 0;
  const call = spaceOut(clock, 100, async () => {
    begun += 1;
    throw new Error("not now");
  });
  call();
  call();
  await settle();
  await clock.advance(100);
  expect(begun).toBe(2);
});
