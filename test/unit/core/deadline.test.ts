import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type DeadlineFacts, type DeadlineLimits, decideDeadline } from "../../../src/core/deadline.ts";

const MIN = 60_000;
const limits: DeadlineLimits = { jobMs: 240 * MIN, stallMs: 15 * MIN, checkpointMs: 30 * MIN, rescueMs: 5 * MIN };
const facts = (more: Partial<DeadlineFacts> = {}): DeadlineFacts => ({
  since: 0,
  sandboxUntil: null,
  lastActivityAt: null,
  isRetry: false,
  isWrappingUp: false,
  lastSnapshotAt: 0,
  ...more,
});
const at = (minutes: number, more: Partial<DeadlineFacts> = {}, own: Partial<DeadlineLimits> = {}) => {
  const { action, nextAt } = decideDeadline(facts(more), { ...limits, ...own }, minutes * MIN);
  const code = "failure" in action ? action.failure.code : null;
  return [action.kind, ...(code ? [code] : []), nextAt === null ? null : nextAt / MIN];
};
const never = { checkpointMs: null };

describe("a job near its time limit", () => {
  test("is told to wrap up, and is stopped halfway through its rescue time", () => {
    expect(at(0, {}, never)).toEqual(["nothing", 235]);
    expect(at(234, {}, never)).toEqual(["nothing", 235]);
    expect(at(235, {}, never)).toEqual(["wrap_up", "timed_out", 237.5]);
    expect(at(236, { isWrappingUp: true }, never)).toEqual(["nothing", 237.5]);
    expect(at(237.5, { isWrappingUp: true }, never)).toEqual(["stop", "timed_out", null]);
    expect(at(999, {}, never)).toEqual(["stop", "timed_out", null]);
  });

  test("is stopped earlier if its sandbox ends earlier", () => {
    expect(at(54, { sandboxUntil: 60 * MIN }, never)).toEqual(["nothing", 55]);
    expect(at(55, { sandboxUntil: 60 * MIN }, never)).toEqual(["wrap_up", "timed_out", 57.5]);
    expect(at(55, { sandboxUntil: 600 * MIN }, never)).toEqual(["nothing", 235]);
  });

  test("gives half of its time to the rescue if its time is short", () => {
    expect(at(0, {}, { ...never, jobMs: 4 * MIN })).toEqual(["nothing", 2]);
    expect(at(2, {}, { ...never, jobMs: 4 * MIN })).toEqual(["wrap_up", "timed_out", 3]);
    expect(at(4, {}, { ...never, jobMs: 4 * MIN, rescueMs: 0 })).toEqual(["stop", "timed_out", null]);
  });
});

describe("a silent turn", () => {
  test("is retried once, then its job is stopped", () => {
    expect(at(14, { lastActivityAt: 0 }, never)).toEqual(["nothing", 15]);
    expect(at(15, { lastActivityAt: 0 }, never)).toEqual(["retry_turn", 235]);
    expect(at(40, { lastActivityAt: 30 * MIN, isRetry: true }, never)).toEqual(["nothing", 45]);
    expect(at(45, { lastActivityAt: 30 * MIN, isRetry: true }, never)).toEqual(["stop", "stalled", 235]);
  });

  test("never counts as silent while a tool runs or between turns", () =>
    expect(at(100, {}, never)).toEqual(["nothing", 235]));
});

test("takes a snapshot of a running job at every interval, but not while it wraps up", () => {
  expect(at(29)).toEqual(["nothing", 30]);
  expect(at(30)).toEqual(["checkpoint", 235]);
  expect(at(30, { lastSnapshotAt: 30 * MIN })).toEqual(["nothing", 60]);
  expect(at(236, { isWrappingUp: true })).toEqual(["nothing", 237.5]);
});

test("the next decision is always in the future and never later than the next deadline", () => {
  const moment = fc.integer({ min: 0, max: 300 * MIN });
  const any = fc.record({
    since: moment,
    sandboxUntil: fc.option(moment),
    lastActivityAt: fc.option(moment),
    isRetry: fc.boolean(),
    isWrappingUp: fc.boolean(),
    lastSnapshotAt: moment,
  });
  fc.assert(
    fc.property(any, moment, (given, now) => {
      const { action, nextAt } = decideDeadline(given, limits, now);
      if (nextAt !== null) expect(nextAt).toBeGreaterThan(now);
      if (action.kind === "stop" || nextAt === null) return;
      // Deciding at `nextAt` misses nothing: until just before it the decision stays the same.
      const before = decideDeadline(given, limits, nextAt - 1).action.kind;
      expect(before).toBe(action.kind);
    }),
  );
});
