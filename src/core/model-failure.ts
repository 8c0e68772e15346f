import type { Failure } from "../shared/error-code.ts";
import { oneLine } from "../shared/plain-text.ts";
import { type Refusal, usageLimitFailure } from "./usage-limit.ts";

export interface TranscriptError {
  readonly name: string;
  readonly message: string;
  readonly retryable: boolean | null;
  /** What the model's provider answered, where it did. */
  readonly refusal?: Refusal | undefined;
}

/** Why a turn has failed whose last message has an error. */
export function toTurnFailure(error: TranscriptError, now: number): Failure {
  if (error.name === "MessageAbortedError") {
    // When the plugin itself stops a turn, it does not ask the transcript why: this turn was stopped by someone else.
    return { code: "cancelled", message: "The turn was stopped by someone in the job's own session.", retryable: true };
  }
  const limit = error.refusal ? usageLimitFailure(error.refusal, error.message, now) : null;
  if (limit) return limit;
  if (CUT_OFF.test(error.message)) return { code: "model_error", message: CUT_OFF_MESSAGE, retryable: true };
  const answered = readAnswered(error.message);
  return answered ?? { code: "model_error", message: `${error.name}: ${error.message}`, retryable: error.retryable };
}

/** What the runtime says of a connection that ended; Bun adds advice for programmers. @source Bun 1.3.14 */
const CUT_OFF = /socket connection was closed|\bECONNRESET\b/i;
const CUT_OFF_MESSAGE =
  "The connection to the model's provider was closed before its answer was complete. The job's files are kept: send it a message to go on.";

/**
 * An error that a provider sends in the middle of its answer, which the host keeps as the JSON it was; null for any other
 * text.
 */
function readAnswered(text: string): Failure | null {
  if (!text.startsWith("{")) return null;
  try {
    const given = JSON.parse(text) as { error?: unknown; message?: unknown; code?: unknown; status?: unknown };
    const { message, code, status } = (
      typeof given.error === "object" && given.error ? given.error : given
    ) as typeof given;
    if (typeof message !== "string" || message === "") return null;
    const number = [status, code].find((one) => /^\d{3}$/.test(String(one)));
    const words = oneLine(message).replace(/[.\s]+$/, "");
    return {
      code: "model_error",
      message: `The model's provider broke its answer off with an error: ${words}${number === undefined ? "" : ` (${number})`}.`,
      retryable: number === undefined ? null : Number(number) >= 500 || Number(number) === 429 ? true : null,
    };
  } catch {
    return null;
  }
}
