import type { JobOrigin } from "./job.ts";

/** Names a call of a tool. Its own id does not: some models' servers give the first call of every message the same one. */
export const callKey = ({ sessionID, messageID, callID }: JobOrigin): string =>
  JSON.stringify([sessionID, messageID, callID]);

/** Whether two jobs were started by one call. Of a job of an earlier version that is not known. */
export const isSameCall = (a: JobOrigin | null, b: JobOrigin | null): boolean =>
  a !== null && b !== null && callKey(a) === callKey(b);
