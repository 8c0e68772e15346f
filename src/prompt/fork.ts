import { oneLine } from "../shared/plain-text.ts";

/* What a session that was forked is told of the jobs of the session it was forked from. */

export interface ForkedFrom {
  readonly sessionID: string;
  readonly title: string | null;
}

/** In answer to a call that names such jobs. */
export const renderForeign = (jobIDs: readonly string[], origin: ForkedFrom): string =>
  `${jobIDs.slice(0, 5).join(", ")} ${jobIDs.length === 1 ? "belongs" : "belong"} to the session that this one was forked from, ${nameOf(origin)}. Only that session can use or cancel ${jobIDs.length === 1 ? "it" : "them"}: go on there, or start the work again here with agents_start.`;

/** In a list of the session's jobs. */
export const renderForkedFrom = (origin: ForkedFrom): string =>
  `This session was forked from ${nameOf(origin)}: jobs that were started there belong to that session.`;

const nameOf = ({ sessionID, title }: ForkedFrom): string =>
  title === null ? `${sessionID} (deleted)` : `"${oneLine(title, 100)}" (${sessionID})`;
