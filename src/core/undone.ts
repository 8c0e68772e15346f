import { PluginError } from "../shared/error-code.ts";

/** The host deletes what a user has undone at the session's next prompt, and whether to keep it is the user's choice. */
export const undoneError = (sessionID: string): PluginError =>
  new PluginError(
    "prompt_failed",
    `The user has undone messages in the job's own session, ${sessionID}, and a prompt would delete them for good. Ask the user to redo them there, or to write on there; or start a new job from this one's files (sandbox_snapshot, then agents_start with "from").`,
    { retryable: false },
  );
