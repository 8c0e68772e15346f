import { expect, test } from "bun:test";
import fc from "fast-check";
import { type CreationRate, createOwnLimiter, emptyFor, takeTurn } from "../../../src/sandboxes/creation-limiter.ts";
import { createFakeClock, settle } from "../../support/fake-clock.ts";

const rates: fc.Arbitrary<CreationRate> = fc.record({
  perSecond: fc.constantFrom(0.5, 1, 3, 4, 40),
  burst: fc.integer({ min: 1, max: 20 }),
});

/** Asserts that no span of time has more turns than the burst and what the rate adds in that span. */
function expectWithin(taken: readonly number[], { perSecond, burst }: CreationRate): void {
  for (let from = 0; from < taken.length; from += 1)
    for (let to = from; to < taken.length; to += 1) {
      const seconds = ((taken[to] ?? 0) - (taken[from] ?? 0)) / 1000;
      expect(to - from + 1).toBeLessThanOrEqual(Math.floor(burst + seconds * perSecond + 1e-6));
    }
}

test("whatever processes ask and when, no span of time has more turns than the burst and what the rate adds", () => {
  const steps = fc.array(
    fc.record({
      afterMs: fc.constantFrom(0, 0, 1, 7, 100, 250, 1_000, 20_000),
      pauseMs: fc.constantFrom(0, 0, 0, 300),
    }),
    { maxLength: 120 },
  );
  fc.assert(
    fc.property(rates, steps, (rate, asked) => {
      let [now, fullAt]: [number, number | null] = [1_800_000_000_000, null];
      const taken: number[] = [];
      for (const { afterMs, pauseMs } of asked) {
        now += afterMs;
        if (pauseMs > 0) fullAt = emptyFor(fullAt, rate, now, pauseMs);
        const asks = takeTurn(fullAt, rate, now);
        fullAt = asks.fullAt;
        if (asks.waitMs === 0) taken.push(now);
      }
      expectWithin(taken, rate);
    }),
  );
});

test("who waits as long as told gets the turn, and never waits longer than for an empty bucket", () => {
  fc.assert(
    fc.property(rates, fc.integer({ min: 1, max: 60 }), (rate, asked) => {
      let [now, fullAt]: [number, number | null] = [0, null];
      for (let turn = 0; turn < asked; turn += 1) {
        const first = takeTurn(fullAt, rate, now);
        now += first.waitMs;
        const second = first.waitMs === 0 ? first : takeTurn(first.fullAt, rate, now);
        expect(second.waitMs).toBe(0);
        expect(first.waitMs).toBeLessThanOrEqual(Math.ceil(1000 / rate.perSecond));
        fullAt = second.fullAt;
      }
    }),
  );
});

test("a clock that is set back by a day makes nobody wait longer than for an empty bucket and a pause", () => {
  const rate = { perSecond: 4, burst: 10 };
  const tomorrow = 86_400_000;
  let fullAt: number | null = null;
  for (let turn = 0; turn < 10; turn += 1) ({ fullAt } = takeTurn(fullAt, rate, tomorrow));
  expect(takeTurn(fullAt, rate, 0).waitMs).toBeLessThanOrEqual(250 + 5_000);
});

test("creations of a process take their turns in order; one that is given up takes none and holds up nobody", async () => {
  const clock = createFakeClock();
  const rate = { perSecond: 4, burst: 2 };
  const limiter = createOwnLimiter(rate, clock);
  const began = clock.now();
  const order: [number, number][] = [];
  const waited: number[] = [];
  const given = new AbortController();
  for (let creation = 0; creation < 6; creation += 1)
    void limiter
      .take(creation === 3 ? given.signal : undefined, () => waited.push(creation))
      .then(
        () => order.push([creation, clock.now() - began]),
        (error: Error) => order.push([-creation, error.name.length]),
      );
  await settle();
  given.abort();
  await clock.advance(2_000);
  expect(order).toEqual([[0, 0], [1, 0], [-3, "AbandonedError".length], [2, 250], [4, 500], [5, 750]]); // biome-ignore format: one line
  expect(waited).toEqual([2, 3, 4, 5]);
});

test("after a refusal everybody waits, and then takes turns one after another", async () => {
  const clock = createFakeClock();
  const limiter = createOwnLimiter({ perSecond: 4, burst: 10 }, clock);
  const began = clock.now();
  limiter.slowDown(1_000);
  const taken: number[] = [];
  for (let creation = 0; creation < 3; creation += 1) void limiter.take().then(() => taken.push(clock.now() - began));
  await clock.advance(3_000);
  expect(taken).toEqual([1_000, 1_250, 1_500]);
});
