/*
 * Whether GPUs that no command uses wait for their job's next one. That is a bet: waiting costs GPU time, and a new GPU costs
 * the time in which it gets ready. What the job has computed by then is spent either way, so it says nothing of the next gap.
 */

/** What is known of a job's use of GPUs for single commands. */
export interface GpuPast {
  /**
   * From the end of each command to the job's next one with a GPU, milliseconds, the newest last. Infinity: that one could
   * not use the GPUs which the former had left.
   */
  readonly gapsMs: readonly number[];
  /** How long a command waited for new GPUs the last time, until it ran, milliseconds. */
  readonly readyMs: number;
}

/** An agent changes how it works: older gaps say nothing any more. */
const GAPS = 8;
/** The next gap is like a former one, but not exactly as long. */
const SPREAD = 1.5;
/** While new GPUs get ready they are paid for, and the agent waits for them: both count. */
const READY_PRICE = 2;
/** Least price of new GPUs, in milliseconds of waiting: there may be none, and an edit and a run lie some seconds apart. */
const LEAST_PRICE_MS = 10_000;

/**
 * How long GPUs wait for the job's next command, milliseconds: for as long as would have cost least over the job's latest
 * gaps, 0 included; of equals the longest. While none is known, for as long as new GPUs would cost, so that the bet costs at
 * most twice what foresight would.
 * @param mostMs longest time that they may wait
 */
export function decideWait({ gapsMs, readyMs }: GpuPast, mostMs: number): number {
  const price = Math.max(LEAST_PRICE_MS, READY_PRICE * readyMs);
  const breakEven = Math.min(price, mostMs);
  const gaps = gapsMs.slice(-GAPS);
  if (gaps.length === 0) return breakEven;
  const cost = (wait: number): number => gaps.reduce((sum, gap) => sum + (gap <= wait ? gap : wait + price), 0);
  const spread = gaps.filter((gap) => gap <= mostMs).map((gap) => Math.min(SPREAD * gap, mostMs));
  const waits = [0, breakEven, ...spread].sort((a, b) => a - b);
  return waits.reduce((best, wait) => (cost(wait) <= cost(best) ? wait : best));
}

export type LingerDecision = { readonly kind: "give_up" } | { readonly kind: "keep"; readonly lookAgainMs: number };

/** Other processes do not announce that they wait for a GPU. */
const LOOK_MS = 2_000;

/** Whether GPUs that no command uses still wait. @param idleSince when the last command's files had come back, epoch ms */
export function decideLinger(
  { idleSince, waitMs, isWaitedFor }: { idleSince: number; waitMs: number; isWaitedFor: boolean },
  now: number,
): LingerDecision {
  const leftMs = idleSince + waitMs - now;
  return leftMs <= 0 || isWaitedFor ? { kind: "give_up" } : { kind: "keep", lookAgainMs: Math.min(leftMs, LOOK_MS) };
}
