/*
 * How many sandboxes of an environment are kept ready in advance, and which of them a job may have. Pure: what is kept
 * ready costs money while nobody uses it, so all that decides about it stands here.
 */

/** So long after the last use, or the last key of the user's, nothing is kept ready any more. */
export const WARM_IDLE_MS = 5 * 60_000;
/** Jobs that start within this time are taken for one burst. */
export const BURST_MS = 60_000;
/** How long bursts are remembered. */
export const RECENT_MS = 20 * 60_000;
/** Earlier days on which the environment was used at this hour, before those days say how much is usual. */
export const DAYS_KNOWN = 3;

/** What is known of the use of an environment. */
export interface WarmDemand {
  /** The environment's `warm`. */
  readonly ceiling: number;
  /** When the user wrote or typed, or a job of the environment started or ended, epoch ms; null = not yet. */
  readonly lastUseAt: number | null;
  /** When jobs of the environment have started lately, epoch ms. */
  readonly starts: readonly number[];
  /** The largest burst at this hour on each earlier day on which the user was at work then. */
  readonly earlierDays: readonly number[];
}

/**
 * How many sandboxes to keep ready: what the largest recent burst has used, or what is usual at this hour, never more than
 * the ceiling. All of it until enough days are known. None once the environment is idle.
 */
export function warmTarget({ ceiling, lastUseAt, starts, earlierDays }: WarmDemand, now: number): number {
  // A use in the future was before the clock was set back: how long ago nobody knows.
  if (lastUseAt === null || lastUseAt > now || now - lastUseAt >= WARM_IDLE_MS) return 0;
  const usual = earlierDays.length < DAYS_KNOWN ? ceiling : Math.max(...earlierDays);
  return Math.max(0, Math.min(ceiling, Math.max(largestBurst(starts, now), usual)));
}

/** Most jobs that have started within a burst's time, lately. */
export function largestBurst(starts: readonly number[], now: number): number {
  const recent = starts.filter((at) => at <= now && now - at < RECENT_MS).sort((a, b) => a - b);
  let largest = 0;
  let first = 0;
  for (const [index, at] of recent.entries()) {
    while (at - (recent[first] ?? at) >= BURST_MS) first++;
    largest = Math.max(largest, index - first + 1);
  }
  return largest;
}

/** Of an environment, what there is and what is wished for. */
export interface WarmState {
  readonly environment: string;
  readonly target: number;
  /** Ready, or being made. */
  readonly present: number;
  /** When it may be tried again after a failure, epoch ms; null = at once. */
  readonly retryAt: number | null;
}

export interface WarmStep {
  readonly environment: string;
  readonly make: number;
  readonly giveUp: number;
}

/**
 * How many to make of each environment, and how many to give up. They take no running slot, but there are never more than
 * jobs could start beside those that run, and none is made while a job waits.
 * @param room running slots that are free
 */
export function warmPlan(
  states: readonly WarmState[],
  { room, queued, now }: { readonly room: number; readonly queued: number; readonly now: number },
): readonly WarmStep[] {
  let left = Math.max(0, room - states.reduce((sum, { present, target }) => sum + Math.min(present, target), 0));
  return states.map(({ environment, target, present, retryAt }) => {
    const mayMake = queued === 0 && (retryAt === null || now >= retryAt);
    const make = mayMake ? Math.min(left, Math.max(0, target - present)) : 0;
    left -= make;
    return { environment, make, giveUp: Math.max(0, present - target) };
  });
}

const FIRST_PAUSE_MS = 15_000;
const LONGEST_PAUSE_MS = 10 * 60_000;

/** How long to wait after this number of failures in a row. */
export const warmPause = (failures: number): number =>
  failures <= 0 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));

/** How much of its lifetime a job of full length may lack. */
const LACK_MS = 10 * 60_000;
const LACK_SHARE = 0.1;

/** What must be left of a sandbox's lifetime when a job gets it. @param sandboxMs lifetime of one made for it */
export const neededMs = (jobMs: number, sandboxMs: number): number =>
  Math.min(jobMs, sandboxMs - Math.min(LACK_MS, sandboxMs * LACK_SHARE));

/** Longest age of a sandbox that is kept ready. Its lifetime is that much longer than a job's, where the provider allows it. */
export const WARM_AGE_MS = 60 * 60_000;

/** Share of its provider's limit of idle time that a sandbox may have lain idle for when a job gets it. */
const IDLE_SHARE = 0.8;

/** A sandbox that is kept ready, as far as it matters to who may have it. */
export interface WarmCandidate {
  /** When it was begun, epoch ms. */
  readonly madeAt: number;
  readonly isReady: boolean;
  /** When its provider ends it, epoch ms; null = never. */
  readonly until: number | null;
}

/** Whether its provider may end it too soon for a job. @param idleMs time without activity after which it is ended; null = none */
export const isWorn = (
  { until, madeAt }: Pick<WarmCandidate, "until" | "madeAt">,
  needs: { readonly neededMs: number; readonly idleMs: number | null },
  now: number,
): boolean =>
  (until !== null && until - now < needs.neededMs) ||
  (needs.idleMs !== null && now - madeAt >= needs.idleMs * IDLE_SHARE);

/** The one that a job gets: a ready one before one that is being made, and the oldest of those. */
export const chooseWarm = <T extends WarmCandidate>(fitting: readonly T[]): T | null =>
  [...fitting].sort((a, b) => Number(b.isReady) - Number(a.isReady) || a.madeAt - b.madeAt)[0] ?? null;
