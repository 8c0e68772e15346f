import { largestBurst, RECENT_MS, warmPause, warmTarget } from "../../../core/warm.ts";
import type { Clock } from "../../../shared/clock.ts";
import type { WarmUseStore } from "../../store/warm-use-store.ts";

/** How an environment is used here, and how its warm-ups went: what decides how many of its sandboxes are kept ready. */
export interface WarmUse {
  /** The user writes or types, or a job of the environment has ended. */
  touch(): void;
  /** A job of the environment gets its first sandbox. */
  started(): void;
  target(): number;
  /** When the next may be made after a failure, epoch ms; null = at once. */
  retryAt(): number | null;
  /** Why the last one could not be made; null = it could. */
  problem(): string | null;
  made(): void;
  failed(why: string): void;
}

const HOUR_MS = 3_600_000;
const HOURS = 24;

/** @param place names environment and project, in the records of use */
export function createWarmUse(
  place: string,
  ceiling: number,
  { pool, clock }: { readonly pool: WarmUseStore; readonly clock: Clock },
): WarmUse {
  let lastUseAt: number | null = null;
  let starts: number[] = [];
  let failures = 0;
  let failedAt = 0;
  let problem: string | null = null;
  /** What was recorded last: of which hour, and how much. */
  let recorded = { at: -1, burst: -1 };

  function record(): void {
    const now = clock.now();
    const at = Math.floor(now / HOUR_MS);
    const burst = largestBurst(starts, now);
    if (recorded.at === at && recorded.burst >= burst) return;
    recorded = { at, burst };
    const { day, hour } = placeInDay(now);
    pool.saveBurst(place, day, hour, burst);
  }

  function earlierDays(now: number): readonly number[] {
    const { day, hour } = placeInDay(now);
    return pool.earlierBursts(
      place,
      day,
      [hour + HOURS - 1, hour, hour + 1].map((each) => each % HOURS),
    );
  }

  return {
    touch() {
      lastUseAt = clock.now();
      record();
    },
    started() {
      const now = clock.now();
      lastUseAt = now;
      starts = [...starts.filter((at) => now - at < RECENT_MS), now];
      record();
    },
    target() {
      const now = clock.now();
      return warmTarget({ ceiling, lastUseAt, starts, earlierDays: earlierDays(now) }, now);
    },
    retryAt: () => (failures === 0 ? null : failedAt + warmPause(failures)),
    problem: () => problem,
    made() {
      failures = 0;
      problem = null;
    },
    failed(why) {
      failures++;
      failedAt = clock.now();
      problem = why;
    },
  };
}

/** In the user's own time: people work by that. */
function placeInDay(now: number): { readonly day: number; readonly hour: number } {
  const date = new Date(now);
  return { day: Math.floor((now - date.getTimezoneOffset() * 60_000) / (HOURS * HOUR_MS)), hour: date.getHours() };
}
