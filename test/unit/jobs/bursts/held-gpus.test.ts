import { expect, test } from "bun:test";
import { NEW_BURST } from "../../../../src/core/burst-state.ts";
import { computeUsd, NO_COMPUTE, openBurst } from "../../../../src/core/cost.ts";
import type { Job } from "../../../../src/core/job.ts";
import { createGaps } from "../../../../src/jobs/bursts/gaps.ts";
import { createHeldGpus } from "../../../../src/jobs/bursts/held-gpus.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import type { Sandbox } from "../../../../src/sandboxes/port.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

const HOUR = 3_600_000;
const gpu = { type: "H100", count: 1, exact: false };

/** A job that holds a GPU for $6 an hour, and what is freed and recorded of it. */
function world() {
  const clock = createFakeClock();
  const compute = openBurst(NO_COMPUTE, { least: 6, most: 6 }, clock.now(), null);
  let job = { burst: { ...NEW_BURST, gpu: "H100", since: clock.now(), doing: "returning" }, compute } as unknown as Job;
  const sessionJobs = {
    get: () => job,
    update: (_: string, change: (job: Job) => Job) => (job = change(job)),
  } as unknown as SessionJobs;
  const events: string[] = [];
  const { promise: ended, resolve: end } = Promise.withResolvers<null>();
  let refusals = 0;
  const sandbox = {
    id: "sb",
    gpu: null,
    usage: null,
    ended,
    async terminate() {
      events.push("terminate");
      if (refusals-- > 0) throw new Error("out of order");
    },
  } as unknown as Sandbox;
  const held = createHeldGpus({
    places: { release: () => void events.push("free"), isWaitedFor: () => false },
    pool: { deleteSandbox: () => void events.push("forgotten") },
    limits: { meteredUsd: () => null },
    clock,
    log: () => {},
  });
  const place = { id: "lease", jobID: "job", orchestrator: "ses", owner: "me", slots: 0 as const, gpu };
  const files = { send: async () => {}, bringBack: () => Promise.reject(new Error("not used")) };
  const one = held.hold({ sessionJobs, jobID: "job", place, sandbox, files });
  const usd = () => computeUsd(job.compute, clock.now());
  return { clock, held, one, events, end: () => end(null), job: () => job, usd, refuse: (n: number) => (refusals = n) };
}

test("a GPU counts, in the limits and in money, until its sandbox has ended, however long that takes", async () => {
  const { clock, held, one, events, end, job, usd } = world();
  await held.release(one, 0);
  expect(job().burst?.doing).toBe("idle"); // its files are back, whatever happens from here on
  await clock.advance(HOUR);
  expect([events, held.of("job"), job().burst === null, usd()]).toEqual([["terminate"], null, false, 6]);
  let isNextFree = false;
  void held.ending("job")?.then(() => (isNextFree = true));
  await clock.advance(1);
  expect(isNextFree).toBeFalse();
  end();
  await clock.advance(HOUR);
  expect([events, isNextFree, job().burst, held.ending("job")]).toEqual([["terminate", "forgotten", "free"], true, null, null]);
  expect(usd()).toBeCloseTo(6, 3);
}); // biome-ignore format: tables

test("a GPU whose sandbox cannot be ended is kept in the count, and ended a minute later", async () => {
  const { clock, held, one, events, end, refuse } = world();
  refuse(1);
  await held.release(one, 0);
  await clock.advance(59_000);
  expect(events).toEqual(["terminate"]);
  end();
  await clock.advance(1_000);
  expect(events).toEqual(["terminate", "terminate", "forgotten", "free"]);
});

test("a GPU that waits is there for the next command, and given up when its time is over", async () => {
  const { clock, held, one, events, end } = world();
  await held.release(one, 10_000);
  await clock.advance(9_999);
  expect([held.of("job"), events]).toEqual([one, []]);
  end();
  await clock.advance(1);
  expect([held.of("job"), events]).toEqual([null, ["terminate", "forgotten", "free"]]);
});

test("closing records the end of what is being ended, and leaves what could not be ended to garbage collection", async () => {
  const closing = async (refusals: number) => {
    const { held, one, events, refuse } = world();
    refuse(refusals);
    await held.release(one, 10_000);
    await held.suspend();
    return events;
  };
  expect(await closing(0)).toEqual(["terminate", "forgotten", "free"]);
  expect(await closing(1)).toEqual(["terminate"]);
});

test("gaps are the time from a command's end to the next one that could have used its GPU", async () => {
  const clock = createFakeClock();
  const gaps = createGaps(clock);
  const asked = (gpus = [gpu], isStale = false) => gaps.asked("job", clock.now(), gpus, isStale);
  asked();
  await clock.advance(7_000);
  gaps.ready("job", clock.now() - 7_000);
  expect(gaps.of("job")).toMatchObject({ gapsMs: [], readyMs: 7_000 });
  gaps.ended("job", gpu);
  await clock.advance(3_000);
  asked();
  gaps.ended("job", gpu);
  asked([{ ...gpu, type: "T4" }]);
  gaps.ended("job", gpu);
  asked([gpu], true);
  asked(); // another one of the same message: nothing has ended since
  expect(gaps.of("job").gapsMs).toEqual([3_000, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
  gaps.forget("job");
  expect(gaps.of("job").gapsMs).toEqual([]);
});
