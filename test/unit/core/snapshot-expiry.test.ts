import { expect, test } from "bun:test";
import { expiryText, isDue, meansExpired } from "../../../src/core/snapshot-expiry.ts";
import { renderParkedExpiry, renderSnapshots } from "../../../src/prompt/job-overview.ts";
import { toSnapshotView } from "../../../src/views/job-view.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const record = {
  id: "im-1", label: "best", orchestrator: "ses_o", project: null, jobID: "job_1", parent: null, kind: "filesystem", path: null, provider: "modal", sizeBytes: null,
  files: null, leftOut: [], createdAt: 0, expiresAt: 30 * DAY, storedAs: null, renewedAt: null, parked: false, isState: false,
} as const; // biome-ignore format: a table

test("a snapshot is due in the last third of its life, counted from when it was renewed last", () => {
  const dueFrom = (one: Parameters<typeof isDue>[0]) => [19, 20.1, 44, 50.1].map((day) => isDue(one, day * DAY));
  expect(dueFrom(record)).toEqual([false, true, true, true]);
  expect(dueFrom({ ...record, renewedAt: 25 * DAY, expiresAt: 55 * DAY })).toEqual([false, false, false, true]);
  expect(dueFrom({ ...record, expiresAt: null })).toEqual([false, false, false, false]);
});

test("the end of a snapshot is told while it is near", () => {
  const told = [0, 26.9, 27.5, 28.5, 29.5, 29.99, 30, 31].map((day) => expiryText(record.expiresAt, day * DAY));
  expect(told).toEqual([
    null,
    null,
    "expires in 2 days",
    "expires in 36 hours",
    "expires in 12 hours",
    "expires in 1 hour",
    "has expired",
    "has expired",
  ]);
  expect(expiryText(null, 31 * DAY)).toBe(null);
  const now = 28 * DAY;
  expect(renderSnapshots([toSnapshotView(record)], 1, now)).toEqual([
    'snapshot im-1 "best" of job_1, expires in 2 days: a job that starts from it renews it',
  ]);
  expect(renderSnapshots([toSnapshotView(record)], 1, 0)).toEqual(['snapshot im-1 "best" of job_1']);
  expect(renderParkedExpiry([{ ...record, parked: true }], now)).toEqual([
    "what job_1 was parked with expires in 2 days. A job that starts from one keeps its files for longer, and so does agents_message to an agent.",
  ]);
  expect(renderParkedExpiry([record], 0)).toEqual([]);
});

test("a failed creation means an expired snapshot where the provider says so, or the snapshot was due", () => {
  const after = 31 * DAY;
  const failed = (code: string, retryable: boolean | null) => ({ code, retryable, message: "" }) as never;
  expect(meansExpired(failed("snapshot_expired", false), record, 0)).toBe(true);
  expect(meansExpired(failed("sandbox_create_failed", false), record, 0)).toBe(false);
  expect(meansExpired(failed("sandbox_create_failed", false), record, after)).toBe(true);
  expect(meansExpired(failed("sandbox_create_failed", true), record, after)).toBe(false); // an outage
  expect(meansExpired(failed("no_capacity", false), record, after)).toBe(false);
  expect(meansExpired(failed("sandbox_lost", null), null, after)).toBe(true);
});
