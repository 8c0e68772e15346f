/** Shorter pauses are left as they are. */
const SHORT_MS = 8;

/**
 * Lengthens a pause, to less than twice, so that the pauses of all commands end at the same moments: to wake OpenCode
 * takes longer than to look at a pipe.
 */
export function alignedPause(now: number, pauseMs: number): number {
  if (pauseMs < SHORT_MS) return pauseMs;
  const grid = 2 ** Math.floor(Math.log2(pauseMs));
  return Math.ceil((now + pauseMs) / grid) * grid - now;
}
