import { closedError } from "../../core/closed-session.ts";
import type { ChildSessions, PromptRequest, SessionEvent } from "../../core/ports.ts";
import { decideTurn, type Transcript, type TurnDecision, textsOf } from "../../core/turn-outcome.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import { PluginError, toFailure } from "../../shared/error-code.ts";

export type TurnEnd = (
  | Extract<TurnDecision, { kind: "done" | "failed" | "summarized" }>
  /** The plugin stopped it: the job is ending, was cancelled, or a message interrupted the turn. */
  | { readonly kind: "stopped" }
) & {
  /** What its messages said, oldest first; null for one without text. */
  readonly texts: readonly (string | null)[];
};

export interface TurnRunnerDeps {
  readonly sessions: ChildSessions;
  readonly clock: Clock;
}

/** Interval at which the session is read without any event: events may be lost, the transcript is not. */
const POLL_MS = 15_000;
/** How long to wait for a stopped model loop to come to rest; then the next prompt is sent regardless. */
const STOP_MS = 5_000;
/** How long a session that was prompted is not read without an event: all that is to be seen is that it works. */
const FIRST_READ_MS = 2_000;
/** Events that may mean the end of a turn, or a change of its cost. */
const READ_AT: ReadonlySet<string> = new Set<SessionEvent["kind"]>(["touched", "error", "deleted", "step"]);
/** The session says itself that it is at rest, often while a reading at its last step would still be under way. */
const isWorthReading = (event: SessionEvent): boolean =>
  READ_AT.has(event.kind) && !(event.kind === "step" && event.isLast);
/** A stopped model loop is reported idle a little before it is at rest. */
const REST_MS = 250;
/** Consecutive read failures tolerated before the turn is abandoned: a lost connection does not end it. */
const READ_TRIES = 5;
const READ_RETRY_MS = 1_000;

/**
 * Prompts a child session and waits until that turn ends.
 * @param onTranscript is called with every reading, for tokens and cost
 * @param signal stops the turn
 */
export async function runTurn(
  { sessions, clock }: TurnRunnerDeps,
  prompt: PromptRequest,
  onTranscript: (transcript: Transcript) => void,
  signal: AbortSignal,
): Promise<TurnEnd> {
  const { sessionID, messageID } = prompt;
  const promptedAt = clock.now();
  let errorSeen: string | null = null;
  let idleSince: number | null = null;
  let failedReads = 0;
  let isDeleted = false;
  let changed = false;
  let latest: Transcript | null = null;
  let wakeUp: () => void = () => {};
  const notify = () => {
    changed = true;
    wakeUp();
  };
  const unsubscribe = sessions.on((event) => {
    if (event.sessionID !== sessionID) return;
    if (event.kind === "error") errorSeen = event.message;
    if (event.kind === "deleted") isDeleted = true;
    if (isWorthReading(event)) notify();
  });
  signal.addEventListener("abort", notify);

  /** Waits until something happens or `limitMs` have passed. */
  const pause = async (limitMs: number): Promise<void> => {
    const waiting = new AbortController();
    wakeUp = () => waiting.abort();
    if (!changed) await sleep(clock, limitMs, waiting.signal);
    changed = false;
  };

  try {
    await sessions.prompt(prompt);
    await pause(FIRST_READ_MS);
    for (;;) {
      if (signal.aborted) return await stop();
      const transcript = await read();
      if (!transcript) {
        await pause(READ_RETRY_MS);
        continue;
      }
      latest = transcript;
      onTranscript(transcript);
      idleSince = transcript.activity === "idle" ? (idleSince ?? clock.now()) : null;
      const context = { messageID, promptedAt, errorSeen, idleSince };
      const decision = decideTurn(transcript, context, clock.now());
      if (decision.kind !== "going_on" && decision.kind !== "unsettled") {
        if (transcript.activity !== "idle") await rest();
        const texts = await allTexts();
        return signal.aborted ? await stop() : { ...decision, texts };
      }
      await pause(decision.kind === "unsettled" ? decision.recheckMs : POLL_MS);
    }
  } catch (error) {
    if (signal.aborted) return await stop();
    if (error instanceof PluginError) throw error;
    const failure = toFailure(error, "prompt_failed", `follow the session ${sessionID}`);
    return { kind: "failed", failure, texts: latest ? textsOf(latest, messageID) : [] };
  } finally {
    unsubscribe();
    signal.removeEventListener("abort", notify);
  }

  /** @returns null if it failed and should be tried again. A turn that can no longer be followed is stopped. */
  async function read(): Promise<Transcript | null> {
    try {
      const transcript = await sessions.read(sessionID, messageID);
      failedReads = 0;
      return transcript;
    } catch (error) {
      failedReads++;
      if (signal.aborted) return null;
      if (isDeleted) throw closedError(sessionID, "deleted", "cancelled");
      if (failedReads < READ_TRIES) return null;
      await sessions.abort(sessionID).catch(() => {}); // the session may be gone
      throw error;
    }
  }

  async function rest(): Promise<void> {
    const last = await bringToRest({ sessions, clock }, sessionID, messageID);
    if (last) onTranscript(last);
    latest = last ?? latest;
  }

  async function stop(): Promise<TurnEnd> {
    await rest();
    return { kind: "stopped", texts: await allTexts() };
  }

  /** Of the latest reading, and of what lies before it in the turn. */
  async function allTexts(): Promise<(string | null)[]> {
    if (!latest) return [];
    const isWhole = latest.messages.some(({ id }) => id === messageID);
    const all = isWhole ? latest : await sessions.read(sessionID, messageID, true).catch(() => null);
    return textsOf(all ?? latest, messageID);
  }
}

/**
 * Stops a session's model loop and waits for it to come to rest, for at most `STOP_MS`: a prompt to a busy session would
 * join the old turn.
 * @returns the last reading; null if the session cannot be read
 */
async function bringToRest(
  { sessions, clock }: TurnRunnerDeps,
  sessionID: string,
  messageID: string,
): Promise<Transcript | null> {
  const deadline = clock.now() + STOP_MS;
  let restSince: number | null = null;
  await sessions.abort(sessionID).catch(() => {}); // if the session is gone, reading it fails below
  for (;;) {
    const transcript = await sessions.read(sessionID, messageID).catch(() => null);
    if (!transcript) return null;
    restSince = transcript.activity === "idle" ? (restSince ?? clock.now()) : null;
    const isAtRest = restSince !== null && clock.now() - restSince >= REST_MS;
    if (isAtRest || clock.now() >= deadline) return transcript;
    await sleep(clock, REST_MS);
  }
}

/**
 * Reads the session of a turn that a dead process left, after stopping a model loop that still runs in it.
 * @throws PluginError `restart_unrecoverable` if the session can no longer be read
 */
export async function readUnfinished(
  deps: TurnRunnerDeps,
  sessionID: string,
  messageID: string,
  signal: AbortSignal,
): Promise<Transcript> {
  for (let attempt = 1; ; attempt++) {
    try {
      const transcript = await deps.sessions.read(sessionID, messageID);
      if (transcript.activity !== "idle") await bringToRest(deps, sessionID, messageID);
      return await deps.sessions.read(sessionID, messageID, true);
    } catch (cause) {
      if (attempt === READ_TRIES || signal.aborted) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        const message = `Could not resume the session ${sessionID} after a restart: ${reason} Start a new job.`;
        throw new PluginError("restart_unrecoverable", message, { cause, retryable: false });
      }
      await sleep(deps.clock, READ_RETRY_MS, signal);
    }
  }
}
