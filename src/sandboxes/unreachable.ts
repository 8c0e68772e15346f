import { type ErrorCode, PluginError } from "../shared/error-code.ts";

/** The provider gave no answer at all: the network or the whole service is away, so every other call would fail as well. */
export class UnreachableError extends PluginError {
  constructor(code: ErrorCode, message: string, options: ErrorOptions) {
    super(code, message, { ...options, retryable: true });
  }
}

/** Whether it failed because its provider could not be reached, whatever was being done. */
export function isUnreachable(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (cause instanceof UnreachableError) return true;
  return false;
}
