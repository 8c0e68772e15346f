/** Error codes of the public contract. Every failure that a user or a model sees has one of them. */
export const ERROR_CODES = [
  "config_invalid",
  "invalid_task",
  "not_found",
  "budget_exceeded",
  "sandbox_create_failed",
  "sandbox_create_timeout",
  "setup_failed",
  "no_capacity",
  "sandbox_lost",
  "isolation_unavailable",
  "session_create_failed",
  "prompt_failed",
  "model_error",
  "usage_limit",
  "no_answer",
  "stalled",
  "timed_out",
  "cancelled",
  "snapshot_failed",
  "snapshot_expired",
  "workspace_failed",
  "collect_failed",
  "command_failed",
  "restart_unrecoverable",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** A failure as a value, as it is stored and shown. `retryable` is null when that is unknown. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean | null;
}

/** A failure that is thrown; the outermost boundary turns it into a `Failure`. */
export class PluginError extends Error {
  override readonly name = "PluginError";
  readonly code: ErrorCode;
  readonly retryable: boolean | null;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions & { retryable?: boolean | null }) {
    super(message, options);
    this.code = code;
    this.retryable = options?.retryable ?? null;
  }
}

/**
 * Converts anything that was thrown into a `Failure`.
 * @param fallback the code, where the error is not a `PluginError` and so has none
 * @param doing what was attempted and on what, a verb phrase that follows "Could not": `create a sandbox for job_1`
 */
export function toFailure(error: unknown, fallback: ErrorCode, doing: string): Failure {
  if (error instanceof PluginError) return { code: error.code, message: error.message, retryable: error.retryable };
  const reason = error instanceof Error ? error.message : String(error);
  return { code: fallback, message: `Could not ${doing}: ${reason}`, retryable: null };
}
