import { type Clock, sleep } from "../../shared/clock.ts";
import { PluginError, toFailure } from "../../shared/error-code.ts";
import type { ChildSessions, PromptRequest, SessionEvent } from "../core/ports.ts";
import { decideTurn, type Transcript, type TurnDecision } from "../core/turn-outcome.ts";

export type TurnEnd =
  | Extract<TurnDecision, { kind: "done" | "failed" }>
  /** We stopped it: the job was cancelled, or a message interrupted it. */
  | { readonly kind: "stopped" };

export interface TurnRunnerDeps {
  readonly sessions: ChildSessions;
  readonly clock: Clock;
}

/** Without any event for so long the session is read all the same: events may be lost, the transcript is not. */
const POLL_MS = 15_000;
/** How long a stopped model loop may take to come to rest before the next prompt is sent regardless. */
const STOP_MS = 5_000;
/** What may have ended a turn, or changed what it costs. */
const READ_AT: ReadonlySet<string> = new Set<SessionEvent["kind"]>(["touched", "error", "deleted", "step"]);
/** A stopped loop shows idle before it is at rest. */
const REST_MS = 250;
/** So many readings in a row may fail, so far apart: a lost connection is no end of a turn. */
const READ_TRIES = 5;
const READ_RETRY_MS = 1_000;

/**
 * Prompts a child session and returns how that turn ended.
 * @param onTranscript gets every reading, for tokens and cost
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
  let changed = false;
  let wakeUp: () => void = () => {};
  const notice = () => {
    changed = true;
    wakeUp();
  };
  const unsubscribe = sessions.on((event) => {
    if (event.sessionID !== sessionID) return;
    if (event.kind === "error") errorSeen = event.message;
    if (READ_AT.has(event.kind)) notice();
  });
  signal.addEventListener("abort", notice);

  /** Until something happens, or `limitMs` have passed. */
  const pause = async (limitMs: number): Promise<void> => {
    const waiting = new AbortController();
    wakeUp = () => waiting.abort();
    if (!changed) await sleep(clock, limitMs, waiting.signal);
    changed = false;
  };

  try {
    await sessions.prompt(prompt);
    for (;;) {
      if (signal.aborted) return await stop();
      const transcript = await read();
      if (!transcript) {
        await pause(READ_RETRY_MS);
        continue;
      }
      onTranscript(transcript);
      idleSince = transcript.activity === "idle" ? (idleSince ?? clock.now()) : null;
      const context = { messageID, promptedAt, errorSeen, idleSince };
      const decision = decideTurn(transcript, context, clock.now());
      if (decision.kind === "done" || decision.kind === "failed") return signal.aborted ? await stop() : decision;
      await pause(decision.kind === "unsettled" ? decision.recheckMs : POLL_MS);
    }
  } catch (error) {
    if (signal.aborted) return await stop();
    if (error instanceof PluginError) throw error;
    return { kind: "failed", failure: toFailure(error, "prompt_failed", `follow the session ${sessionID}`) };
  } finally {
    unsubscribe();
    signal.removeEventListener("abort", notice);
  }

  /** null when it failed and is worth another try. What can no longer be followed must not go on unseen. */
  async function read(): Promise<Transcript | null> {
    try {
      const transcript = await sessions.read(sessionID, messageID);
      failedReads = 0;
      return transcript;
    } catch (error) {
      failedReads++;
      if (signal.aborted || failedReads < READ_TRIES) return null;
      await sessions.abort(sessionID).catch(() => {}); // it may be gone altogether
      throw error;
    }
  }

  async function stop(): Promise<TurnEnd> {
    const last = await bringToRest({ sessions, clock }, sessionID, messageID);
    if (last) onTranscript(last);
    return { kind: "stopped" };
  }
}

/**
 * Stops a session's loop and waits until it is at rest, or no longer: a prompt to a busy session joins the old turn.
 * @returns the last reading; null when it cannot be read
 */
async function bringToRest(
  { sessions, clock }: TurnRunnerDeps,
  sessionID: string,
  messageID: string,
): Promise<Transcript | null> {
  const deadline = clock.now() + STOP_MS;
  let restSince: number | null = null;
  await sessions.abort(sessionID).catch(() => {}); // it may be gone altogether; the reading below tells
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
 * Reads the session of a turn that a dead process left; a loop that still runs in it is stopped first.
 * @throws PluginError `restart_unrecoverable` when it cannot be read any more
 */
export async function readLeft(
  deps: TurnRunnerDeps,
  sessionID: string,
  messageID: string,
  signal: AbortSignal,
): Promise<Transcript> {
  for (let attempt = 1; ; attempt++) {
    try {
      const transcript = await deps.sessions.read(sessionID, messageID);
      if (transcript.activity === "idle") return transcript;
      return (await bringToRest(deps, sessionID, messageID)) ?? transcript;
    } catch (cause) {
      if (attempt === READ_TRIES || signal.aborted) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        const message = `The session ${sessionID} cannot be taken up again: ${reason} Start a new job.`;
        throw new PluginError("restart_unrecoverable", message, { cause, retryable: false });
      }
      await sleep(deps.clock, READ_RETRY_MS, signal);
    }
  }
}
