import type { Failure } from "../../shared/error-code.ts";

/** One message of a child session, as far as the end of a turn depends on it. */
export interface TranscriptMessage {
  readonly id: string;
  readonly role: "user" | "assistant";
  readonly completed: boolean;
  /** Why the model stopped: `stop`, `tool-calls`, `length`, … */
  readonly finish: string | null;
  readonly error: { readonly name: string; readonly message: string; readonly retryable: boolean | null } | null;
  /** Its last text part. */
  readonly text: string | null;
}

/** A child session as read at one moment. `messages` holds the newest ones from the prompt on, oldest first. */
export interface Transcript {
  readonly activity: "idle" | "busy" | "retrying";
  readonly messages: readonly TranscriptMessage[];
  readonly tokens: { readonly input: number; readonly output: number };
  readonly usd: number;
}

/** What is known of the turn beside the transcript. */
export interface TurnContext {
  /** Id the turn was prompted under; only newer messages belong to it. */
  readonly messageID: string;
  readonly promptedAt: number;
  /** Text of the newest error event of the session since the prompt. */
  readonly errorSeen: string | null;
  /** Since when the session has been idle, as far as we saw; null while busy. */
  readonly idleSince: number | null;
}

export type TurnDecision =
  | { readonly kind: "going_on" }
  /** The session looks idle but the outcome is not written yet: read again soon. */
  | { readonly kind: "unsettled"; readonly recheckMs: number }
  | { readonly kind: "done"; readonly text: string; readonly cut: boolean }
  | { readonly kind: "failed"; readonly failure: Failure };

/** After a failure the host publishes idle, then saves the message, then idle again, some ms apart. */
const RECHECK_MS = 150;
/** An idle session whose last message is still open after so long was left behind by its loop. */
const SETTLE_MS = 3_000;
/** A prompt is accepted before its loop starts; idle and without a message for so long means it never will. */
const START_MS = 15_000;

/**
 * Whether and how a turn ended, from what can be read of its session. Events are no argument: they say "read now",
 * so that lost, doubled or early ones change nothing.
 * @source the orders of idle, error and saved message verified against OpenCode 1.18.33
 */
export function decideTurn(transcript: Transcript, turn: TurnContext, now: number): TurnDecision {
  if (transcript.activity !== "idle") return { kind: "going_on" };
  const idleMs = now - (turn.idleSince ?? now);
  const last = transcript.messages.filter((m) => m.role === "assistant" && m.id > turn.messageID).at(-1);
  if (!last) return decideUnanswered(turn, idleMs, now);
  if (last.error) {
    // The message is saved before the loop has come to rest, and a prompt before that would join the old turn.
    if (idleMs < RECHECK_MS) return { kind: "unsettled", recheckMs: RECHECK_MS };
    return { kind: "failed", failure: toTurnFailure(last.error) };
  }
  if (!last.completed || last.finish === null) {
    if (idleMs < SETTLE_MS) return { kind: "unsettled", recheckMs: RECHECK_MS };
    return failed(`The model's answer broke off${turn.errorSeen ? `: ${turn.errorSeen}` : " without an error."}`, true);
  }
  if (last.finish === "tool-calls" || last.finish === "unknown") {
    if (idleMs < SETTLE_MS) return { kind: "unsettled", recheckMs: RECHECK_MS };
    return failed(`The turn stopped after a tool call${turn.errorSeen ? `: ${turn.errorSeen}` : "."}`, null);
  }
  return { kind: "done", text: last.text ?? "", cut: last.finish === "length" };
}

export type ResumptionDecision =
  /** It ended well while nobody looked. */
  | Extract<TurnDecision, { kind: "done" }>
  /** Its prompt never arrived. */
  | { readonly kind: "repeat" }
  /** It broke off. */
  | { readonly kind: "go_on" };

/** How a turn goes on that a dead process left; the transcript is that of a session at rest. */
export function decideResumption(transcript: Transcript, messageID: string): ResumptionDecision {
  const decision = decideTurn(transcript, { messageID, promptedAt: 0, errorSeen: null, idleSince: 0 }, SETTLE_MS);
  if (decision.kind === "done") return decision;
  return { kind: transcript.messages.some(({ id }) => id >= messageID) ? "go_on" : "repeat" };
}

function decideUnanswered(turn: TurnContext, idleMs: number, now: number): TurnDecision {
  // An unknown agent or model is only told as an event: no status, no message.
  if (turn.errorSeen !== null && idleMs >= RECHECK_MS) {
    return { kind: "failed", failure: { code: "prompt_failed", message: turn.errorSeen, retryable: false } };
  }
  if (now - turn.promptedAt < START_MS) return { kind: "unsettled", recheckMs: RECHECK_MS };
  return { kind: "failed", failure: { code: "prompt_failed", message: NO_ANSWER, retryable: true } };
}

const NO_ANSWER = "OpenCode accepted the prompt but never started on it; send the job a message to try again.";

const failed = (message: string, retryable: boolean | null): TurnDecision => ({
  kind: "failed",
  failure: { code: "model_error", message, retryable },
});

function toTurnFailure(error: { name: string; message: string; retryable: boolean | null }): Failure {
  if (error.name === "MessageAbortedError") {
    // Our own aborts are known by their cause before the transcript is asked; this one came from outside.
    return { code: "cancelled", message: "The turn was stopped in its own session.", retryable: true };
  }
  return { code: "model_error", message: `${error.name}: ${error.message}`, retryable: error.retryable };
}
