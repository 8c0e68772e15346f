import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  BURST_MS,
  chooseWarm,
  DAYS_KNOWN,
  isWorn,
  largestBurst,
  neededMs,
  RECENT_MS,
  WARM_IDLE_MS,
  warmPause,
  warmPlan,
  warmTarget,
} from "../../../src/core/warm.ts";
import { propertyRuns } from "../../support/property-runs.ts";

const NOW = 1_000_000_000;
const times = fc.array(fc.integer({ min: NOW - 2 * RECENT_MS, max: NOW }), { maxLength: 40 });
const demand = fc.record({
  ceiling: fc.nat({ max: 20 }),
  lastUseAt: fc.option(fc.integer({ min: NOW - 2 * WARM_IDLE_MS, max: NOW })),
  starts: times,
  earlierDays: fc.array(fc.nat({ max: 20 }), { maxLength: 7 }),
});

describe("how many are kept ready", () => {
  test("is never more than the ceiling, nor less than the last burst while in use, and none once idle", () => {
    fc.assert(
      fc.property(demand, (known) => {
        const target = warmTarget(known, NOW);
        const isIdle = known.lastUseAt === null || NOW - known.lastUseAt >= WARM_IDLE_MS;
        expect(target).toBeGreaterThanOrEqual(0);
        expect(target).toBeLessThanOrEqual(known.ceiling);
        if (isIdle) expect(target).toBe(0);
        else expect(target).toBeGreaterThanOrEqual(Math.min(known.ceiling, largestBurst(known.starts, NOW)));
      }),
      { numRuns: propertyRuns(300) },
    );
  });

  test("grows with use and falls with nothing but time and other days", () => {
    fc.assert(
      fc.property(demand, fc.integer({ min: NOW - RECENT_MS, max: NOW }), (known, at) => {
        expect(warmTarget({ ...known, starts: [...known.starts, at] }, NOW)).toBeGreaterThanOrEqual(
          warmTarget(known, NOW),
        );
        // Whatever was begun: without further use it ends.
        expect(warmTarget(known, NOW + WARM_IDLE_MS)).toBe(0);
      }),
      { numRuns: propertyRuns(300) },
    );
  });

  test("is all of it until enough days are known, then what is usual at the hour", () => {
    const known = { ceiling: 4, lastUseAt: NOW, starts: [] };
    expect(warmTarget({ ...known, earlierDays: Array(DAYS_KNOWN - 1).fill(1) }, NOW)).toBe(4);
    expect(warmTarget({ ...known, earlierDays: [1, 2, 0] }, NOW)).toBe(2);
    expect(warmTarget({ ...known, earlierDays: [0, 0, 0] }, NOW)).toBe(0);
    expect(warmTarget({ ...known, earlierDays: [0, 0, 0], starts: [NOW - 5, NOW - 1] }, NOW)).toBe(2);
  });

  test("is none after the clock was set back, until the next use", () => {
    const known = { ceiling: 4, starts: [], earlierDays: [] };
    expect(warmTarget({ ...known, lastUseAt: NOW + 1 }, NOW)).toBe(0);
    expect(warmTarget({ ...known, lastUseAt: NOW }, NOW)).toBe(4);
  });

  test("counts a burst by what starts within a minute, in whatever order it is told", () => {
    expect(largestBurst([NOW, NOW - BURST_MS + 1, NOW - BURST_MS], NOW)).toBe(2);
    expect(largestBurst([NOW - RECENT_MS], NOW)).toBe(0);
    fc.assert(
      fc.property(times, (starts) => {
        const recent = starts.filter((at) => NOW - at < RECENT_MS);
        const naive = recent.map((from) => recent.filter((at) => at >= from && at - from < BURST_MS).length);
        expect(largestBurst(starts, NOW)).toBe(Math.max(0, ...naive));
      }),
      { numRuns: propertyRuns(200) },
    );
  });
});

test("a plan makes no more than there is room for, none while a job waits or a pause lasts, and gives up the rest", () => {
  const state = fc.record({
    environment: fc.constant("e"),
    target: fc.nat({ max: 9 }),
    present: fc.nat({ max: 9 }),
    retryAt: fc.option(fc.integer({ min: NOW - 5, max: NOW + 5 })),
  });
  fc.assert(
    fc.property(fc.array(state, { maxLength: 5 }), fc.integer({ min: -3, max: 9 }), fc.nat({ max: 1 }), (states, room, queued) => {
      const plan = warmPlan(states, { room, queued, now: NOW });
      const made = plan.reduce((sum, { make }) => sum + make, 0);
      const kept = states.reduce((sum, { present, target }) => sum + Math.min(present, target), 0);
      expect(made + Math.min(kept, Math.max(0, room))).toBeLessThanOrEqual(Math.max(0, room));
      for (const [index, { make, giveUp }] of plan.entries()) {
        const { target = 0, present = 0, retryAt = null } = states[index] ?? {};
        expect(make === 0 || giveUp === 0).toBe(true);
        expect(present - giveUp + make).toBeLessThanOrEqual(Math.max(target, present));
        expect(giveUp).toBe(Math.max(0, present - target));
        if (queued > 0 || (retryAt !== null && retryAt > NOW)) expect(make).toBe(0);
      }
    }),
    { numRuns: propertyRuns(300) },
  ); // biome-ignore format: as it is
});

test("a job gets one that lives long enough: ready before unready, the oldest first", () => {
  const one = (madeAt: number, isReady: boolean) => ({ madeAt, isReady, until: null });
  expect(chooseWarm([one(1, false), one(3, true), one(2, true)])).toEqual(one(2, true));
  expect(chooseWarm([])).toBeNull();
  const needs = { neededMs: 100, idleMs: 1_000 };
  expect(isWorn({ until: NOW + 99, madeAt: NOW }, needs, NOW)).toBe(true);
  expect(isWorn({ until: NOW + 100, madeAt: NOW }, needs, NOW)).toBe(false);
  expect(isWorn({ until: null, madeAt: NOW - 800 }, needs, NOW)).toBe(true);
  expect(isWorn({ until: null, madeAt: NOW - 800 }, { ...needs, idleMs: null }, NOW)).toBe(false);
  // Whatever lifetime the provider allows, a new one is not worn at once.
  fc.assert(
    fc.property(fc.integer({ min: 60_000, max: 10 ** 9 }), fc.integer({ min: 60_000, max: 10 ** 9 }), (jobMs, sandboxMs) => {
      expect(neededMs(jobMs, sandboxMs)).toBeLessThan(sandboxMs);
    }),
    { numRuns: propertyRuns(100) },
  ); // biome-ignore format: as it is
});

test("failures in a row are followed by ever longer pauses, of ten minutes at most", () => {
  const pauses = [0, 1, 2, 3, 20, 500].map(warmPause);
  expect(pauses).toEqual([0, 15_000, 30_000, 60_000, 600_000, 600_000]);
});
