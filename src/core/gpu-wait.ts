import { formatGpu, type GpuRequest } from "../config/gpu.ts";

/** A job's wait at its provider, over all its attempts: for a GPU or, while there is no answer at all, for the provider itself. */
export interface GpuWait {
  /** When it first waited, epoch ms. */
  readonly since: number;
  /** When it asks again, after every GPU that it would take was refused, epoch ms; null = it is asking. */
  readonly retryAt: number | null;
  /** Whether it waits for the provider to be reached. */
  readonly isUnreachable: boolean;
}

export interface GpuWaitLimits {
  /** Longest wait over all GPUs and attempts, milliseconds. */
  readonly totalMs: number;
  /** Time in the queue before the provider is asked again, milliseconds. */
  readonly pauseMs: number;
}

const PAUSE_MS = 30_000;
/** A job that was kept from asking, by its place in the queue or by a restart, still gets this time for each GPU. */
const LAST_TRY_MS = 30_000;

export const toGpuWaitLimits = (minutes: number): GpuWaitLimits => {
  const totalMs = minutes * 60_000;
  return { totalMs, pauseMs: Math.min(PAUSE_MS, totalMs / 10) };
};

/**
 * How long to hold the request for one of `count` GPUs: its share of the whole time, so that the last of a preference list
 * gets as long as the first, and no more than is left.
 */
export function holdMs(since: number, count: number, { totalMs }: GpuWaitLimits, now: number): number {
  const share = totalMs / count;
  return Math.max(Math.min(share, since + totalMs - now), Math.min(share, LAST_TRY_MS));
}

export const isWaitOver = (since: number, { totalMs }: GpuWaitLimits, now: number): boolean => now >= since + totalMs;

/** What a job waits for that asks its provider again later. */
export function describeGpuWait(gpus: readonly GpuRequest[], wait: GpuWait, now: number): string {
  const why = wait.isUnreachable ? "cannot be reached" : `has no ${gpus.map(formatGpu).join(" or ")} free`;
  return `its provider ${why}, ${inWords(now - wait.since)}; asks again in ${inWords((wait.retryAt ?? now) - now)}`;
}

/** Since when it has waited for this: another wait before it does not count. */
export const waitedSince = (wait: GpuWait | null, isUnreachable: boolean, now: number): number =>
  wait?.isUnreachable === isUnreachable ? wait.since : now;

/** "20 s", "3 min" */
export const inWords = (ms: number): string =>
  ms < 60_000 ? `${Math.max(0, Math.floor(ms / 1000))} s` : `${Math.floor(ms / 60_000)} min`;
