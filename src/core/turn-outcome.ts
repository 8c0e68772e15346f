import type { Failure } from "../shared/error-code.ts";
import type { Tokens } from "./tokens.ts";
import { type Refusal, usageLimitFailure } from "./usage-limit.ts";

/** The parts of a child session's message on which the end of a turn depends. */
export interface TranscriptMessage {
  readonly id: string;
  readonly role: "user" | "assistant";
  readonly completed: boolean;
  /** Why the model stopped: `stop`, `tool-calls`, `length`, … */
  readonly finish: string | null;
  readonly error: TranscriptError | null;
  /** Its text, of all parts that its author wrote; null = none. */
  readonly text: string | null;
  /** Whether it is the host's summary of the conversation, which is no answer to anyone. */
  readonly isSummary: boolean;
}

export interface TranscriptError {
  readonly name: string;
  readonly message: string;
  readonly retryable: boolean | null;
  /** What the model's provider answered, where it did. */
  readonly refusal?: Refusal | undefined;
}

/** A child session as read at one moment. `messages`: those since the prompt, oldest first. */
export interface Transcript {
  readonly activity: "idle" | "busy" | "retrying";
  readonly messages: readonly TranscriptMessage[];
  readonly tokens: Tokens;
  readonly usd: number;
}

/** What is known of the turn besides its transcript. Times are epoch milliseconds. */
export interface TurnFacts {
  /** Id of its prompt; only newer messages belong to the turn. */
  readonly messageID: string;
  readonly promptedAt: number;
  /** Text of the session's latest error event since the prompt. */
  readonly errorSeen: string | null;
  /** Since when the session has been seen idle; null while it is busy. */
  readonly idleSince: number | null;
}

export type TurnDecision =
  | { readonly kind: "going_on" }
  /** The session looks idle, but the outcome is not stored yet: read again in `recheckMs`. */
  | { readonly kind: "unsettled"; readonly recheckMs: number }
  /** `cut`: the answer reached the model's output limit. */
  | { readonly kind: "done"; readonly cut: boolean }
  | { readonly kind: "failed"; readonly failure: Failure };

/** After a failure the host announces idle, stores the message, and announces idle again, a few milliseconds apart. */
const RECHECK_MS = 150;
/** How long an idle session may have an incomplete last message before its model loop counts as dead. */
const SETTLE_MS = 3_000;
/** How long a session may stay idle, without an answer, after it has accepted a prompt. */
const START_MS = 15_000;

/**
 * Whether and how a turn has ended, by what its session shows. Events only say when to read, so that lost, repeated or
 * early events change nothing.
 * @source the order of idle, error and stored message was verified against OpenCode 1.18.33
 */
export function decideTurn(transcript: Transcript, turn: TurnFacts, now: number): TurnDecision {
  if (transcript.activity !== "idle") return { kind: "going_on" };
  const idleMs = now - (turn.idleSince ?? now);
  const last = transcript.messages.filter((m) => m.role === "assistant" && m.id > turn.messageID).at(-1);
  if (!last) return decideUnanswered(turn, idleMs, now);
  if (last.error) {
    // The message is stored before the model loop is at rest, and a prompt before that would join the old turn.
    if (idleMs < RECHECK_MS) return { kind: "unsettled", recheckMs: RECHECK_MS };
    return { kind: "failed", failure: toTurnFailure(last.error, now) };
  }
  if (!last.completed || last.finish === null) {
    if (idleMs < SETTLE_MS) return { kind: "unsettled", recheckMs: RECHECK_MS };
    return failed(`The model's answer broke off${turn.errorSeen ? `: ${turn.errorSeen}` : " without an error."}`, true);
  }
  if (last.finish === "tool-calls" || last.finish === "unknown") {
    if (idleMs < SETTLE_MS) return { kind: "unsettled", recheckMs: RECHECK_MS };
    return failed(`The turn stopped after a tool call${turn.errorSeen ? `: ${turn.errorSeen}` : "."}`, null);
  }
  return { kind: "done", cut: last.finish === "length" };
}

/** What the messages of a turn say, oldest first; null for one without text. */
export const textsOf = ({ messages }: Transcript, messageID: string): (string | null)[] =>
  messages.flatMap(({ id, role, text, isSummary }) =>
    role === "assistant" && id > messageID && !isSummary ? [text] : [],
  );

export type ResumptionDecision =
  /** It completed while no process was watching. */
  | Extract<TurnDecision, { kind: "done" }>
  /** Its prompt never arrived. */
  | { readonly kind: "repeat" }
  /** It broke off midway. */
  | { readonly kind: "go_on" };

/** How to continue a turn that a dead process left. @param transcript of the session at rest */
export function decideResumption(transcript: Transcript, messageID: string): ResumptionDecision {
  const decision = decideTurn(transcript, { messageID, promptedAt: 0, errorSeen: null, idleSince: 0 }, SETTLE_MS);
  if (decision.kind === "done") return decision;
  // The host stores a message before its text: a process may die in between, and nobody reads a prompt without text.
  const hasArrived = transcript.messages.some(
    ({ id, role, text }) => id >= messageID && (role === "assistant" || text !== null),
  );
  return { kind: hasArrived ? "go_on" : "repeat" };
}

function decideUnanswered(turn: TurnFacts, idleMs: number, now: number): TurnDecision {
  // An unknown agent or model is reported only by an event: without a status or a message.
  if (turn.errorSeen !== null && idleMs >= RECHECK_MS) {
    return { kind: "failed", failure: { code: "prompt_failed", message: turn.errorSeen, retryable: false } };
  }
  if (now - turn.promptedAt < START_MS) return { kind: "unsettled", recheckMs: RECHECK_MS };
  return { kind: "failed", failure: { code: "prompt_failed", message: NO_ANSWER, retryable: true } };
}

const NO_ANSWER = "OpenCode accepted the prompt but never started the turn; send the job a message to try again.";

const failed = (message: string, retryable: boolean | null): TurnDecision => ({
  kind: "failed",
  failure: { code: "model_error", message, retryable },
});

function toTurnFailure(error: TranscriptError, now: number): Failure {
  if (error.name === "MessageAbortedError") {
    // When the plugin itself stops a turn, it does not ask the transcript why: this turn was stopped by someone else.
    return { code: "cancelled", message: "The turn was stopped by someone in the job's own session.", retryable: true };
  }
  const limit = error.refusal ? usageLimitFailure(error.refusal, error.message, now) : null;
  if (limit) return limit;
  return { code: "model_error", message: `${error.name}: ${error.message}`, retryable: error.retryable };
}
