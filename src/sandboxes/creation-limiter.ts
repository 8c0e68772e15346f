import type { Clock } from "../shared/clock.ts";
import { AbandonedError } from "../shared/time-limit.ts";

/*
 * A provider that allows only so many new sandboxes in a time has each creation take its turn here. The arithmetic is that
 * of a bucket which holds `burst` turns and gets `perSecond` new ones; the state of a bucket is the moment at which it would
 * be full again, so that nothing has to fill it.
 */

export interface CreationRate {
  /** New sandboxes a second. */
  readonly perSecond: number;
  /** New sandboxes at once, after a pause. */
  readonly burst: number;
}

export interface CreationLimiter {
  readonly rate: CreationRate;
  /**
   * Resolves when a sandbox may be created. First come, first served. Whoever stops waiting has taken nothing.
   * @param onWait called once if the turn does not come at once
   * @throws AbandonedError when `signal` aborts before
   */
  take(signal?: AbortSignal, onWait?: () => void): Promise<void>;
  /** The provider has refused a creation for its rate: nobody gets a turn for a while, and then one after another. */
  slowDown(pauseMs: number): void;
}

/** Longest pause that one refusal makes for everybody. */
const LONGEST_SHARED_PAUSE_MS = 5_000;

const turnMs = ({ perSecond }: CreationRate): number => 1000 / perSecond;

/**
 * How long after `now` the bucket is full again. Never longer than it can be, so that a clock that was set back makes
 * nobody wait for the hours that it lost.
 */
function aheadOf(fullAt: number | null, rate: CreationRate, now: number): number {
  const most = rate.burst * turnMs(rate) + LONGEST_SHARED_PAUSE_MS;
  return Math.min(Math.max(0, (fullAt ?? now) - now), most);
}

/**
 * Takes a turn if there is one. @param fullAt when the bucket is full again, epoch ms; null = it is full
 * @returns what `fullAt` is then, and how long to wait before asking again; 0 = the turn is taken
 */
export function takeTurn(
  fullAt: number | null,
  rate: CreationRate,
  now: number,
): { readonly fullAt: number; readonly waitMs: number } {
  const ahead = aheadOf(fullAt, rate, now);
  const waitMs = Math.ceil(ahead - (rate.burst - 1) * turnMs(rate));
  return waitMs > 0 ? { fullAt: now + ahead, waitMs } : { fullAt: now + ahead + turnMs(rate), waitMs: 0 };
}

/** Empties the bucket, and keeps it empty for `pauseMs`. @returns when it is full again */
export function emptyFor(fullAt: number | null, rate: CreationRate, now: number, pauseMs: number): number {
  const pause = Math.min(Math.max(0, pauseMs), LONGEST_SHARED_PAUSE_MS);
  return now + Math.max(aheadOf(fullAt, rate, now), pause + (rate.burst - 1) * turnMs(rate));
}

/** Replaces what is stored of a bucket, in one step that no other process can come between. */
export type ChangeBucket = <T>(change: (fullAt: number | null) => { readonly fullAt: number; readonly result: T }) => T;

/** A bucket of this process alone. */
export function createLocalBucket(): ChangeBucket {
  let stored: number | null = null;
  return (change) => {
    const { fullAt, result } = change(stored);
    stored = fullAt;
    return result;
  };
}

export interface CreationLimiterDeps {
  readonly rate: CreationRate;
  readonly clock: Clock;
  readonly changeBucket: ChangeBucket;
}

/** Only one of this process's creations asks at a time, so the others keep their order, and a dead process holds nothing. */
export function createCreationLimiter({ rate, clock, changeBucket }: CreationLimiterDeps): CreationLimiter {
  const waiting: (() => void)[] = [];
  let isAsking = false;

  function serve(): void {
    isAsking = false;
    while (waiting.length > 0) {
      const waitMs = changeBucket((fullAt) => {
        const { waitMs: result, ...bucket } = takeTurn(fullAt, rate, clock.now());
        return { ...bucket, result };
      });
      if (waitMs > 0) {
        isAsking = true;
        clock.after(waitMs, serve);
        return;
      }
      waiting.shift()?.();
    }
  }

  return {
    rate,
    take: (signal, onWait) =>
      new Promise((resolve, reject) => {
        const stop = () => {
          waiting.splice(waiting.indexOf(start), 1);
          reject(new AbandonedError("Waiting for a turn to create a sandbox was abandoned"));
        };
        const start = () => {
          signal?.removeEventListener("abort", stop);
          resolve();
        };
        waiting.push(start);
        if (signal?.aborted) return stop();
        signal?.addEventListener("abort", stop);
        if (!isAsking) serve();
        if (waiting.includes(start)) onWait?.();
      }),
    slowDown(pauseMs) {
      changeBucket((fullAt) => ({ fullAt: emptyFor(fullAt, rate, clock.now(), pauseMs), result: null }));
    },
  };
}

/** A limiter for creations of this process alone. */
export const createOwnLimiter = (rate: CreationRate, clock: Clock): CreationLimiter =>
  createCreationLimiter({ rate, clock, changeBucket: createLocalBucket() });
