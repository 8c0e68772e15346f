import type { Failure } from "../shared/error-code.ts";
import { oneLine } from "../shared/plain-text.ts";
import { resetIn } from "./reset-time.ts";

/** How a provider refused a model request, as far as the host tells. */
export interface Refusal {
  readonly status: number | null;
  /** The host's message and the body of the provider's answer. */
  readonly text: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The failure of a turn whose provider refused because a limit of use is reached; null for any other refusal. */
export function usageLimitFailure(refusal: Refusal, message: string, now: number): Failure | null {
  const { status, text, headers } = refusal;
  if (IS_LOADED.test(text)) return null;
  const resetsAt = resetIn(text, headers, now);
  return status === 429 || isUsageLimit(text) ? toFailure(message, resetsAt) : null;
}

/**
 * Whether a wait of the host before it repeats a model request is too long for a job to keep its slot and its sandbox.
 * @param retry `nextAt` in epoch ms
 * @param longestMs wait that is waited out
 */
export function decideRetry(
  retry: { readonly message: string; readonly nextAt: number },
  longestMs: number,
  now: number,
): Failure | null {
  const { message, nextAt } = retry;
  // Without the header that OpenCode obeys it tries again soon, though the message names a time hours away.
  const named = isUsageLimit(message) ? (resetIn(message, {}, now) ?? 0) : 0;
  const resetsAt = Math.max(named, nextAt);
  if (resetsAt - now <= longestMs) return null;
  const failure = toFailure(message, resetsAt);
  return IS_LOADED.test(message) ? { ...failure, code: "model_error" } : failure;
}

/** A provider that is overloaded refuses too, but nobody has used anything up. */
const IS_LOADED = /overload|at capacity|unavailable|concurren|internal (?:server )?error/i;

const isUsageLimit = (text: string): boolean => LIMITS.some((limit) => limit.test(text));

const LIMITS = [
  /usage[ _-]?limit|UsageLimitError|usage exceeded|limit resets/i,
  /quota|resource[_ ]exhausted|rate_limit_(?:exceeded|error)/i,
  /\b(?:rate|request|token|session|spend|plan|hourly|daily|weekly|monthly|hour|day|week|month)s? limit\b/i,
  /\b(?:hit|reached|exceeded) (?:your|the) [\w -]{0,40}limit/i,
  /free-models-per-day|(?:free|plan) (?:usage|tier|limit)/i,
];

const QUOTED = 300;

function toFailure(message: string, resetsAt: number | null): Failure {
  const words = oneLine(message, QUOTED).replace(/[.\s]+$/, "");
  const [when, then] =
    resetsAt === null
      ? ["It did not say when that changes.", "later"]
      : [`That changes at ${moment(resetsAt)}.`, `after ${moment(resetsAt)}`];
  return {
    code: "usage_limit",
    message: `The model's provider refuses because a usage limit is reached: ${words}. ${when} The job's files are kept: send it a message with agents_message ${then} to go on.`,
    retryable: true,
  };
}

/** "2026-11-27 18:00 UTC", rounded up. */
const moment = (at: number): string =>
  `${new Date(Math.ceil(at / 60_000) * 60_000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
