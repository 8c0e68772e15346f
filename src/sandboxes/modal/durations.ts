const SECOND_MS = 1000;
const DAY_MS = 86_400_000;

/** Modal ends a sandbox after a day at the latest. */
export const MAX_LIFETIME_MS = DAY_MS;

/**
 * A duration as the SDK takes it: a positive multiple of a second. Zero and fractions, which some calls refuse and
 * others take for "no limit" or for their own default, become the next second.
 */
export const wholeSecondsMs = (ms: number): number => Math.max(1, Math.ceil(ms / SECOND_MS)) * SECOND_MS;

/** A lifetime Modal accepts. */
export const toLifetimeMs = (ms: number): number => Math.min(wholeSecondsMs(ms), MAX_LIFETIME_MS);

/** A snapshot's time to live; null keeps it until it is removed. */
export const toTtlMs = (days: number | null): number | null => (days === null ? null : wholeSecondsMs(days * DAY_MS));
