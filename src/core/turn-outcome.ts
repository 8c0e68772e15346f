import type { Failure } from "../shared/error-code.ts";
import { oneLine } from "../shared/plain-text.ts";
import { type TranscriptError, toTurnFailure } from "./model-failure.ts";
import type { Tokens } from "./tokens.ts";

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
  /** Whether a call of its was carried out, well or not. */
  readonly hasActed: boolean;
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
  /** The user had the conversation summarized in the middle of the turn. Nobody goes on by himself after that. */
  | { readonly kind: "summarized" }
  /** Of a session that is not idle: its model loop is to be stopped. */
  | { readonly kind: "failed"; readonly failure: Failure };

/** After a failure the host announces idle, stores the message, and announces idle again, a few milliseconds apart. */
const RECHECK_MS = 150;
/** How long an idle session may have an incomplete last message before its model loop counts as dead. */
const SETTLE_MS = 3_000;
/** How long a session may stay idle, without an answer, after it has accepted a prompt. */
const START_MS = 15_000;
/** Answers in a row that neither end the turn nor do anything: after these nothing else is to be expected. */
const MOST_IDLE_ANSWERS = 5;

/**
 * Whether and how a turn has ended, by what its session shows. Events only say when to read, so that lost, repeated or
 * early events change nothing.
 * @source the order of idle, error and stored message was verified against OpenCode 1.18.33
 */
export function decideTurn(transcript: Transcript, turn: TurnFacts, now: number): TurnDecision {
  const answers = transcript.messages.filter(({ id, role }) => role === "assistant" && id > turn.messageID);
  if (transcript.activity !== "idle") return decideBusy(answers);
  const idleMs = now - (turn.idleSince ?? now);
  const last = answers.at(-1);
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
  if (last.isSummary) {
    const before = answers.findLast(({ isSummary }) => !isSummary);
    if (before && isEnd(before)) return { kind: "done", cut: before.finish === "length" };
    return idleMs < SETTLE_MS ? { kind: "unsettled", recheckMs: RECHECK_MS } : { kind: "summarized" };
  }
  if (!isEnd(last)) {
    if (idleMs < SETTLE_MS) return { kind: "unsettled", recheckMs: RECHECK_MS };
    return failed(`The turn stopped after a tool call${turn.errorSeen ? `: ${turn.errorSeen}` : "."}`, null);
  }
  return { kind: "done", cut: last.finish === "length" };
}

/** After these the host asks the model again. @source OpenCode 1.18.33 */
const ASKS_AGAIN: readonly (string | null)[] = ["tool-calls", "unknown", null];

const isEnd = ({ completed, error, finish }: TranscriptMessage): boolean =>
  completed && error === null && !ASKS_AGAIN.includes(finish);

/**
 * A provider whose answers do not say that they are complete is asked again without an end: an answer that was cut, an
 * empty one, the login page of a network.
 */
function decideBusy(answers: readonly TranscriptMessage[]): TurnDecision {
  const newest = answers.filter(({ completed }) => completed).slice(-MOST_IDLE_ANSWERS);
  const isFruitless = ({ error, finish, hasActed, isSummary }: TranscriptMessage) =>
    error === null && ASKS_AGAIN.includes(finish) && !hasActed && !isSummary;
  if (newest.length < MOST_IDLE_ANSWERS || !newest.every(isFruitless)) return { kind: "going_on" };
  const text = newest.at(-1)?.text?.trim() ?? "";
  const said = text === "" ? "no text" : `"${oneLine(text, 200)}"`;
  return failed(
    `The model's provider answered ${MOST_IDLE_ANSWERS} times in a row without ending its answer and without a tool call, the last time with ${said}. The turn was stopped, because OpenCode would ask on without an end. Check that the provider can be reached (a network may answer with its login page) and that its address speaks the protocol that OpenCode expects, or choose another model; then send the job a message to go on.`,
    true,
  );
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
