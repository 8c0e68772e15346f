import type { Clock } from "../../src/shared/clock.ts";

/** A clock that stands still until a test advances it. */
export interface FakeClock extends Clock {
  /** Advances, firing due timers in order. Whatever a timer sets off without timers is done before the next one fires. */
  advance(ms: number): Promise<void>;
  /** Moves on to this moment as while a machine sleeps: timers that were due meanwhile have not fired yet. */
  sleepUntil(at: number): void;
  /** Jumps from timer to timer until `probe` returns a truthy value, and returns that value. */
  until<T>(what: string, probe: () => T, limitMs?: number): Promise<Exclude<T, false | null | undefined>>;
  /** Number of timers that have not fired. */
  pending(): number;
}

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** Lets everything run that needs no timer: even long promise chains finish before the next macrotask. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export function createFakeClock(startAt = Date.UTC(2026, 0, 1)): FakeClock {
  let now = startAt;
  const timers = new Set<Timer>();

  const nextBefore = (limit: number): Timer | undefined => {
    let next: Timer | undefined;
    for (const timer of timers) if (timer.at <= limit && (!next || timer.at < next.at)) next = timer;
    return next;
  };
  async function fire(timer: Timer): Promise<void> {
    timers.delete(timer);
    now = Math.max(now, timer.at);
    timer.callback();
    await settle();
  }

  return {
    now: () => now,
    after(delayMs, callback) {
      if (!(delayMs >= 0)) throw new Error(`a delay of ${delayMs} ms`);
      const timer = { at: now + delayMs, callback };
      timers.add(timer);
      return () => {
        timers.delete(timer);
      };
    },
    sleepUntil(at) {
      now = Math.max(now, at);
    },
    async advance(ms) {
      const end = now + ms;
      await settle();
      for (let next = nextBefore(end); next; next = nextBefore(end)) await fire(next);
      now = end;
    },
    async until(what, probe, limitMs = 120_000) {
      const end = now + limitMs;
      await settle();
      for (;;) {
        const value = probe();
        if (value) return value as Exclude<typeof value, false | null | undefined>;
        const next = nextBefore(end);
        if (!next) throw new Error(`did not happen within ${limitMs} ms: ${what}`);
        await fire(next);
      }
    },
    pending: () => timers.size,
  };
}
