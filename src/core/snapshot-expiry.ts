import type { Failure } from "../shared/error-code.ts";
import type { SnapshotRecord } from "./snapshot-record.ts";

/** When a snapshot began and ends, epoch ms. */
export type SnapshotLife = Pick<SnapshotRecord, "createdAt" | "expiresAt"> & Partial<Pick<SnapshotRecord, "renewedAt">>;

/** Share of a snapshot's life below which whoever uses it renews it. */
const RENEWED_BELOW = 1 / 3;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** From how long before its end users are told of it. */
const NEAR_MS = 3 * DAY_MS;

export const hasExpired = ({ expiresAt }: Pick<SnapshotRecord, "expiresAt">, now: number): boolean =>
  expiresAt !== null && expiresAt <= now;

/** Whether so little of a snapshot's life is left that it should be renewed while it is used. */
export function isDue({ createdAt, renewedAt, expiresAt }: SnapshotLife, now: number): boolean {
  if (expiresAt === null) return false;
  return expiresAt - now < (expiresAt - (renewedAt ?? createdAt)) * RENEWED_BELOW;
}

/** Users are told now of snapshots that expire until this time. */
export const nearUntil = (now: number): number => now + NEAR_MS;

/** "expires in 2 days"; null while there is time. */
export function expiryText(expiresAt: number | null, now: number): string | null {
  if (expiresAt === null || expiresAt - now > NEAR_MS) return null;
  const left = expiresAt - now;
  if (left <= 0) return "has expired";
  const [count, unit] = left >= 2 * DAY_MS ? [left / DAY_MS, "day"] : [Math.max(1, left / HOUR_MS), "hour"];
  const whole = Math.floor(count);
  return `expires in ${whole} ${unit}${whole === 1 ? "" : "s"}`;
}

/** How to come by a snapshot in place of one that has expired. @param isRun whether the job that it was of is a run */
export const insteadOfExpired = (jobID: string, isRun: boolean): string =>
  isRun
    ? `${jobID} is a run, which cannot be woken: run its command again, or start from a different one.`
    : `Wake ${jobID} with agents_message and take another with sandbox_snapshot, or start from a different one.`;

/**
 * Whether a failed creation means that the snapshot it started from has expired: the provider says so, or the snapshot was
 * due and the provider does not expect another try to help.
 * @param snapshot null = its record has been removed, as garbage collection does when it has expired
 */
export function meansExpired(failure: Failure, snapshot: SnapshotRecord | null, now: number): boolean {
  if (failure.code === "snapshot_expired") return true;
  const isOfCreation = failure.code === "sandbox_create_failed" || failure.code === "sandbox_lost";
  return isOfCreation && failure.retryable !== true && (snapshot === null || hasExpired(snapshot, now));
}
