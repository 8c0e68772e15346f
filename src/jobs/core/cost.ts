/** What the sandboxes of a job cost. It is recorded, so that one that stands while no OpenCode runs is counted. */
export interface Compute {
  /** USD, of sandboxes that have ended. */
  readonly usd: number;
  /** Of the sandbox that stands, or that the job is about to get. */
  readonly usdPerHour: number;
  /** Since when a sandbox stands; null when none does. Epoch ms. */
  readonly since: number | null;
  /** When its provider ends it, whatever has become of us; null = never. Epoch ms. */
  readonly until: number | null;
}

export const NO_COMPUTE: Compute = { usd: 0, usdPerHour: 0, since: null, until: null };

const HOUR_MS = 3_600_000;

export const usdOver = (usdPerHour: number, ms: number): number => (usdPerHour * Math.max(0, ms)) / HOUR_MS;

/** USD until now. One that nobody saw end has cost nothing after its time. */
export const computeUsd = ({ usd, usdPerHour, since, until }: Compute, now: number): number =>
  since === null ? usd : usd + usdOver(usdPerHour, Math.min(now, until ?? now) - since);

/** A sandbox stands since `now`. */
export const openCompute = (compute: Compute, usdPerHour: number, now: number, until: number | null): Compute => ({
  usd: computeUsd(compute, now),
  usdPerHour,
  since: now,
  until,
});

/** It has ended. */
export const settleCompute = (compute: Compute, now: number): Compute =>
  compute.since === null ? compute : { ...compute, usd: computeUsd(compute, now), since: null, until: null };

/** It is about to get a sandbox that costs so much. */
export const expectRate = (compute: Compute, usdPerHour: number): Compute =>
  compute.since === null ? { ...compute, usdPerHour } : compute;
