import { chance } from "../../shared/chance.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { AbandonedError } from "../../shared/time-limit.ts";
import type { CreationLimiter } from "../creation-limiter.ts";
import { kindOf, messageOf, retryAfterOf } from "./modal-error.ts";

export interface RateDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly limiter: CreationLimiter;
  readonly onPause?: () => void;
}

const FIRST_PAUSE_MS = 1_000;
const SHORTEST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;

/**
 * How long to wait after so many refusals: longer each time, and never the same for two who were refused together.
 * @param askedMs what Modal asks for; null = it does not say
 * @param spread 0 to 1
 */
export function pauseAfter(refusals: number, askedMs: number | null, spread: number): number {
  const first = Math.max(askedMs ?? FIRST_PAUSE_MS, SHORTEST_PAUSE_MS);
  return Math.min(first * 2 ** (refusals - 1), LONGEST_PAUSE_MS) * (1 + spread / 2);
}

/**
 * Makes a call, and makes it again for as long as Modal refuses it for its rate: that refusal says nothing of the call, and
 * passes. Each slows down every creation of the user.
 * @throws what `call` throws otherwise, AbandonedError
 */
export async function pastRateLimit<T>(
  { clock, log, limiter, onPause }: RateDeps,
  doing: string,
  call: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  for (let refusals = 1; ; refusals += 1) {
    try {
      return await call();
    } catch (error) {
      const refusal = error instanceof PluginError ? error.cause : error;
      if (kindOf(refusal) !== "rate") throw error;
      const pauseMs = pauseAfter(refusals, retryAfterOf(refusal), chance());
      log("info", "Modal refused a call for its rate; it is made again", {
        doing,
        pauseMs,
        reason: messageOf(refusal),
      });
      limiter.slowDown(pauseMs);
      onPause?.();
      await sleep(clock, pauseMs, signal);
      if (signal?.aborted) throw new AbandonedError(`${doing} was abandoned`);
    }
  }
}
