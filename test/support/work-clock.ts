import type { Clock } from "../../src/shared/clock.ts";

/** A clock on which time goes by only while something works. */
export interface WorkClock extends Clock {
  work(ms: number): void;
}

/** @param onPause told of every pause, which is one turn of the event loop */
export function createWorkClock(onPause: () => void): WorkClock {
  let now = 0;
  return {
    now: () => now,
    work(ms) {
      now += ms;
    },
    after(_, callback) {
      onPause();
      const turn = setImmediate(callback);
      return () => clearImmediate(turn);
    },
  };
}
