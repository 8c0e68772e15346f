import {
  type CreationLimiter,
  type CreationRate,
  createCreationLimiter,
  createLocalBucket,
} from "../../sandboxes/creation-limiter.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import type { CreationRateStore } from "../store/creation-rate-store.ts";

export interface SharedCreationLimiterDeps {
  readonly pool: CreationRateStore;
  readonly rate: CreationRate;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The limiter of all processes that share the state directory. While the shared state cannot be written, such as on a full
 * disk, this process keeps to the rate by itself: creating sandboxes goes on, and none is created unlimited.
 */
export function createSharedCreationLimiter({ pool, rate, clock, log }: SharedCreationLimiterDeps): CreationLimiter {
  const own = createLocalBucket();
  return createCreationLimiter({
    rate,
    clock,
    changeBucket(change) {
      try {
        return pool.changeCreationRate(change);
      } catch (error) {
        log("warn", "the shared creation rate could not be written", { reason: String(error) });
        return own(change);
      }
    },
  });
}
