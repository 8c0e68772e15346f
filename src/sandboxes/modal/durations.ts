const SECOND_MS = 1000;
const DAY_MS = 86_400_000;

/** Longest lifetime of a sandbox at Modal. */
export const MAX_LIFETIME_MS = DAY_MS;

/**
 * A duration as the SDK takes it: a positive multiple of a second. Rounds up zero and fractions, which some calls refuse
 * and others treat as "no limit" or as their default.
 */
export const wholeSecondsMs = (ms: number): number => Math.max(1, Math.ceil(ms / SECOND_MS)) * SECOND_MS;

/** A sandbox lifetime that Modal accepts, milliseconds. */
export const toLifetimeMs = (ms: number): number => Math.min(wholeSecondsMs(ms), MAX_LIFETIME_MS);

/** A snapshot's time to live, milliseconds; null = until it is removed. */
export const toTtlMs = (days: number | null): number | null => (days === null ? null : wholeSecondsMs(days * DAY_MS));
