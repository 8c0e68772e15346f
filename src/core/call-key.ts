import type { JobOrigin } from "./job.ts";

/** A job's origin stays the same object, and thousands of jobs are grouped by it again and again. */
const keys = new WeakMap<JobOrigin, string>();

/** Names a call of a tool. Its own id does not: some models' servers give the first call of every message the same one. */
export function callKey(origin: JobOrigin): string {
  const known = keys.get(origin);
  if (known !== undefined) return known;
  const key = JSON.stringify([origin.sessionID, origin.messageID, origin.callID]);
  keys.set(origin, key);
  return key;
}

/** Whether two jobs were started by one call. Of a job of an earlier version that is not known. */
export const isSameCall = (a: JobOrigin | null, b: JobOrigin | null): boolean =>
  a !== null && b !== null && callKey(a) === callKey(b);
