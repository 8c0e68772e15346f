import type { RateRange } from "../config/prices.ts";

/** What a job's sandboxes cost. Recorded, so that a sandbox that outlives its OpenCode process is still counted. */
export interface Compute extends Meter {
  /** The sandbox with a GPU that the job has beside its own for single commands. Absent or null = there is none. */
  readonly burst?: Meter | null | undefined;
}

export interface Meter {
  /** Cost of the sandboxes that have ended, USD. */
  readonly usd: number;
  /** Most that the present sandbox may cost, at its limits, or the one the job is about to get. */
  readonly usdPerHour: number;
  /** Least that it costs, at what it requests. */
  readonly leastPerHour: number;
  /** Since when the present sandbox costs money; null = there is none. Epoch ms. */
  readonly since: number | null;
  /** When the provider ends that sandbox by itself; null = never. Epoch ms. */
  readonly until: number | null;
  /** What the present sandbox had cost at a moment, by its provider's meter; null = not known. */
  readonly measured: { readonly at: number; readonly usd: number } | null;
}

export const NO_COMPUTE: Compute = {
  usd: 0,
  usdPerHour: 0,
  leastPerHour: 0,
  since: null,
  until: null,
  measured: null,
};

const HOUR_MS = 3_600_000;

export const usdOver = (usdPerHour: number, ms: number): number => (usdPerHour * Math.max(0, ms)) / HOUR_MS;

/**
 * Cost until now, USD: as measured, and at the limits for the time that was not measured. A sandbox costs nothing after the
 * moment at which its provider ends it.
 */
export const computeUsd = (compute: Compute, now: number): number =>
  meteredUsd(compute, now) + (compute.burst ? meteredUsd(compute.burst, now) : 0);

function meteredUsd({ usd, usdPerHour, since, until, measured }: Meter, now: number): number {
  if (since === null) return usd;
  const { at, usd: known } = measured ?? { at: since, usd: 0 };
  return usd + known + usdOver(usdPerHour, Math.min(now, until ?? now) - at);
}

/** From now on a sandbox costs money. */
export const openCompute = (
  compute: Compute,
  { least, most }: RateRange,
  now: number,
  until: number | null,
): Compute => ({
  ...compute,
  usd: meteredUsd(compute, now),
  usdPerHour: most,
  leastPerHour: least,
  since: now,
  until,
  measured: null,
});

/**
 * Records what the present sandbox has cost so far. No change if there is none.
 * @param usd by its provider's meter; never counted as less than its requests cost, nor as more than its limits do
 */
export function measureCompute<M extends Meter>(compute: M, usd: number, now: number): M {
  const { since, until, leastPerHour, usdPerHour } = compute;
  if (since === null) return compute;
  const at = Math.min(now, until ?? now);
  const bounded = Math.min(Math.max(usd, usdOver(leastPerHour, at - since)), usdOver(usdPerHour, at - since));
  return { ...compute, measured: { at: Math.max(since, at), usd: bounded } };
}

/** The sandbox has ended. No change if there is none. */
export const settleCompute = (compute: Compute, now: number): Compute =>
  compute.since === null
    ? compute
    : { ...compute, usd: meteredUsd(compute, now), since: null, until: null, measured: null };

/** Most that the job's present sandboxes cost together, or the one that it is about to get. */
export const hourlyUsd = ({ usdPerHour, burst }: Compute): number => usdPerHour + (burst?.usdPerHour ?? 0);

/** Most that the job costs by the hour now. */
export const runningUsd = (compute: Compute): number =>
  hourlyUsd(compute.since === null ? { ...compute, usdPerHour: 0 } : compute);

/** Whether the job has a sandbox that costs money. */
export const isCosting = ({ since, burst }: Compute): boolean => since !== null || burst != null;

/** From now on a sandbox with a GPU costs money beside the job's own. */
export const openBurst = (
  compute: Compute,
  { least, most }: RateRange,
  now: number,
  until: number | null,
): Compute => ({
  ...settleBurst(compute, now),
  burst: { usd: 0, usdPerHour: most, leastPerHour: least, since: now, until, measured: null },
});

/** That sandbox has ended. No change if there is none. */
export const settleBurst = (compute: Compute, now: number): Compute =>
  compute.burst ? { ...compute, usd: compute.usd + meteredUsd(compute.burst, now), burst: null } : compute;

/** Adds what another sandbox has cost that was made for the job. */
export const addUsd = (compute: Compute, usd: number): Compute => ({ ...compute, usd: compute.usd + usd });

/** The job is about to get a sandbox of this price. No change while it has one. */
export const expectRate = (compute: Compute, usdPerHour: number): Compute =>
  compute.since === null ? { ...compute, usdPerHour } : compute;
