import { expect, test } from "bun:test";
import fc from "fast-check";
import { decideLinger, decideWait } from "../../../src/core/linger.ts";
import { GPU_TRACES } from "../../bench/gpu-traces.ts";

const S = 1_000;
const MOST = 60 * S;
const BOOT = 12 * S;
const waitAfter = (gaps: readonly number[], readyMs = BOOT, most = MOST) =>
  decideWait({ gapsMs: gaps.map((seconds) => seconds * S), readyMs }, most) / S;

test("a GPU that no command uses is given up when its time is over or somebody waits for it, and looked at until then", () => {
  fc.assert(
    fc.property(fc.nat(100_000), fc.nat(100_000), fc.boolean(), (waitMs, passed, isWaitedFor) => {
      const decision = decideLinger({ idleSince: 5, waitMs, isWaitedFor }, 5 + passed);
      expect(decision.kind === "give_up").toBe(isWaitedFor || passed >= waitMs);
      if (decision.kind === "keep") expect(passed + decision.lookAgainMs).toBeLessThanOrEqual(waitMs);
    }),
  );
});

test("a GPU waits first for as long as a new one would cost, in time and in money, and no longer than the user allows", () => {
  expect([waitAfter([]), waitAfter([], 90 * S), waitAfter([], 0), waitAfter([], BOOT, 5 * S)]).toEqual([24, 60, 10, 5]);
});

test("a job whose gaps are longer than the user allows gives its GPU up at once, however slow new ones are", () => {
  const long = fc.double({ min: 60.001, max: 1e6, noNaN: true });
  fc.assert(
    fc.property(fc.array(long, { minLength: 1, maxLength: 20 }), fc.nat(10_000), (gaps, readySeconds) => {
      expect(waitAfter(gaps, readySeconds * S)).toBe(0);
    }),
  );
});

test("a loop of edits and runs, seconds apart, finds its GPU whatever a new one takes", () => {
  const short = fc.double({ min: 0, max: 10, noNaN: true });
  fc.assert(
    fc.property(fc.array(short, { minLength: 1, maxLength: 20 }), short, fc.nat(10_000), (gaps, next, readySeconds) => {
      expect(waitAfter(gaps, readySeconds * S)).toBeGreaterThanOrEqual(next);
    }),
  );
});

test("a wait never costs more over the latest gaps than no wait, or one of full length", () => {
  const gap = fc.oneof(fc.nat(120), fc.constant(Number.POSITIVE_INFINITY));
  fc.assert(
    fc.property(fc.array(gap, { minLength: 1, maxLength: 8 }), fc.nat(200), fc.nat(300), (gaps, ready, most) => {
      const price = Math.max(10, 2 * ready);
      const cost = (wait: number) => gaps.reduce((sum, one) => sum + (one <= wait ? one : wait + price), 0);
      const wait = waitAfter(gaps, ready * S, most * S);
      expect(wait).toBeLessThanOrEqual(most);
      expect(cost(wait)).toBeLessThanOrEqual(Math.min(cost(0), cost(Math.min(price, most))));
    }),
  );
});

test("an agent that works in another way than before is followed after a few commands", () => {
  const long = Array.from({ length: 20 }, () => 300);
  expect([waitAfter([...long, 5, 6]), waitAfter([...long, 5, 6, 5])]).toEqual([0, 7.5]);
  const short = Array.from({ length: 20 }, () => 6);
  const later = Array.from({ length: 6 }, () => 300);
  expect([waitAfter(short), waitAfter([...short, 300]), waitAfter([...short, ...later])]).toEqual([24, 9, 0]);
});

test("where a new GPU takes long, a longer gap is waited through", () => {
  expect([waitAfter([40, 35], 15 * S), waitAfter([40, 35], 25 * S), waitAfter([40, 35], 300 * S)]).toEqual([0, 60, 60]);
});

test("GPUs that the next command could not use were not worth the wait", () => {
  expect(waitAfter([Number.POSITIVE_INFINITY])).toBe(0);
});

test("recorded agents hold a GPU for less time than with it for the whole job, or with a minute's wait after each command", () => {
  const held = (trace: (typeof GPU_TRACES)[number], waitFor: (gaps: readonly number[]) => number): number => {
    const gaps: number[] = [];
    let sum = 0;
    for (const [index, [think, compute]] of trace.steps.entries()) {
      if (index > 0) gaps.push(think);
      const wait = index > 0 ? waitFor(gaps.slice(0, -1)) : 0;
      sum += compute + Math.min(think, wait) + (index === 0 || think > wait ? BOOT / S : 0);
    }
    return (sum + waitFor(gaps)) / trace.steps.reduce((all, [, compute]) => all + compute, 0);
  };
  const whole = ({ steps }: (typeof GPU_TRACES)[number]): number =>
    steps.reduce((sum, [think, compute]) => sum + think + compute, 0) / steps.reduce((sum, [, one]) => sum + one, 0);
  for (const trace of GPU_TRACES) {
    const decided = held(trace, waitAfter);
    expect([decided < whole(trace), decided < held(trace, () => 60)]).toEqual([true, true]);
  }
  expect(held(GPU_TRACES[0] as never, waitAfter)).toBeLessThan(1.1);
});
