import { plainName } from "../shared/plain-text.ts";

/** Below what a tool has read of a job's files while others were on their way. */
export const MAY_BE_OLD =
  "[read before the project's newest changes were in, which may have changed it: read it again before you edit it]";

/** To an agent that would replace a file of which it knows an earlier state, or only a part as it is now. */
export const renderKnownOld = (path: string): string =>
  `You have not read the whole of ${plainName(path)} since the project's newest changes came in, and writing it whole could undo them. Read it again with sandbox_read, then write it.`;
