/** What a job's sandboxes cost. Recorded, so that a sandbox that outlives its OpenCode process is still counted. */
export interface Compute {
  /** Cost of the sandboxes that have ended, USD. */
  readonly usd: number;
  /** Price of the present sandbox, or of the one the job is about to get. */
  readonly usdPerHour: number;
  /** Since when the present sandbox costs money; null = there is none. Epoch ms. */
  readonly since: number | null;
  /** When the provider ends that sandbox by itself; null = never. Epoch ms. */
  readonly until: number | null;
}

export const NO_COMPUTE: Compute = { usd: 0, usdPerHour: 0, since: null, until: null };

const HOUR_MS = 3_600_000;

export const usdOver = (usdPerHour: number, ms: number): number => (usdPerHour * Math.max(0, ms)) / HOUR_MS;

/** Cost until now, USD. A sandbox costs nothing after the moment at which its provider ends it. */
export const computeUsd = ({ usd, usdPerHour, since, until }: Compute, now: number): number =>
  since === null ? usd : usd + usdOver(usdPerHour, Math.min(now, until ?? now) - since);

/** From now on a sandbox costs money. */
export const openCompute = (compute: Compute, usdPerHour: number, now: number, until: number | null): Compute => ({
  usd: computeUsd(compute, now),
  usdPerHour,
  since: now,
  until,
});

/** The sandbox has ended. No change if there is none. */
export const settleCompute = (compute: Compute, now: number): Compute =>
  compute.since === null ? compute : { ...compute, usd: computeUsd(compute, now), since: null, until: null };

/** The job is about to get a sandbox of this price. No change while it has one. */
export const expectRate = (compute: Compute, usdPerHour: number): Compute =>
  compute.since === null ? { ...compute, usdPerHour } : compute;
