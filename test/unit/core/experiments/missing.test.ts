import { expect, test } from "bun:test";
import { countText, isInDoubt, type Member, missingOf } from "../../../../src/core/experiments/missing.ts";

const member = (more: Partial<Member> = {}): Member => ({
  ...{ seed: "1", call: "call_1", standing: "failed", state: "failed", isCounted: false },
  ...more,
});
const counted = (more: Partial<Member> = {}) =>
  member({ standing: "final", state: "completed", isCounted: true, ...more });

test("of a seed the newest job decides what became of it, unless one of them counts", () => {
  const cancelled = member({ state: "cancelled" });
  expect(missingOf([cancelled, member(), counted({ seed: "2" })], false)).toEqual({ cancelled: 1 });
  expect(missingOf([member(), counted()], false)).toEqual({});
});

test("a run without a seed is made up for by a later call, unless it still runs", () => {
  const failed = member({ seed: null });
  const running = member({ seed: null, standing: "running", state: "queued" });
  const later = counted({ seed: null, call: "call_2" });
  expect(missingOf([later, failed, failed], false)).toEqual({});
  expect(missingOf([counted({ seed: null }), failed, failed], false)).toEqual({ failed: 2 });
  expect(missingOf([later, running], false)).toEqual({ running: 1 });
});

test("what a benchmark was not asked to measure is not missing, what failed is", () => {
  const unmeasured = member({ standing: "final", state: "completed", seed: "2" });
  const members = [counted(), unmeasured, member({ seed: "3" })];
  expect(missingOf(members, true)).toEqual({ failed: 1 });
  expect(missingOf(members, false)).toEqual({ failed: 1, completed: 1 });
});

test("the count names what became of the others, and is a mere number where there are none", () => {
  expect(countText({ n: 3 })).toBe("3");
  expect(countText({ n: 1, missing: { stopped: 1, failed: 2 } })).toBe("1 of 4 (2 failed, 1 stopped early)");
});

test("what is missing of an experiment takes its gain into doubt, and what is missing of its reference its loss", () => {
  const missing = { failed: 1 };
  const doubts = (own: object | undefined, reference: object | undefined) =>
    (["better", "worse", "noise", null] as const).map((verdict) => isInDoubt(verdict, own, reference));
  expect(doubts(missing, undefined)).toEqual([true, false, false, false]);
  expect(doubts(undefined, missing)).toEqual([false, true, false, false]);
  expect(doubts(undefined, undefined)).toEqual([false, false, false, false]);
});
