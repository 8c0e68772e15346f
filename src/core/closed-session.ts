import { type ErrorCode, PluginError } from "../shared/error-code.ts";

/** Why a job's own session takes no prompt: the user has undone messages in it, or deleted it. */
export type Closed = "undone" | "deleted";

/** The host deletes what a user has undone at the session's next prompt, and whether to keep it is the user's choice. */
export function closedError(sessionID: string, why: Closed, code: ErrorCode = "prompt_failed"): PluginError {
  const message =
    why === "undone"
      ? `The user has undone messages in the job's own session, ${sessionID}, and a prompt would delete them for good. Ask the user to redo them there, or to write on there; or start a new job from this one's files (sandbox_snapshot, then agents_start with "from").`
      : `The job's own session, ${sessionID}, was deleted, so it cannot go on. Its files are kept: collect them, or start a new job from them (sandbox_snapshot, then agents_start with "from").`;
  return new PluginError(code, message, { retryable: false });
}
