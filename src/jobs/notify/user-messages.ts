import type { ChildSessions } from "../../core/ports.ts";
import type { Clock } from "../../shared/clock.ts";
import { createEmitter } from "../../shared/emitter.ts";
import type { Log } from "../../shared/log.ts";

/** What users write while a tool call of theirs may be waiting for jobs. */
export interface UserMessages {
  /**
   * Whether the user has written since the model began the message with this id, and so something that the model has not
   * read when it makes the calls in that message.
   */
  hasWrittenSince(sessionID: string, messageID: string): boolean;
  /** Subscribes to the ids of the sessions in which users write. */
  on(listener: (sessionID: string) => void): () => void;
  stop(): void;
}

export interface UserMessagesDeps {
  readonly sessions: Pick<ChildSessions, "on">;
  readonly clock: Clock;
  readonly log: Log;
}

/** The host stores a message first and its parts right after it: a model that is asked in between would not read them. */
const STORE_MS = 50;

export function createUserMessages({ sessions, clock, log }: UserMessagesDeps): UserMessages {
  /** Id of the newest message of the user, by session. */
  const newest = new Map<string, string>();
  const written = createEmitter<string>((error) => log("error", "a listener failed", { reason: String(error) }));
  let stopped = false;
  const unsubscribe = sessions.on((event) => {
    if (event.kind === "deleted") newest.delete(event.sessionID);
    if (event.kind !== "user_wrote") return;
    newest.set(event.sessionID, event.messageID);
    clock.after(STORE_MS, () => {
      if (!stopped) written.emit(event.sessionID);
    });
  });
  return {
    hasWrittenSince: (sessionID, messageID) => (newest.get(sessionID) ?? "") > messageID, // ids of the host are in order
    on: (listener) => written.on(listener),
    stop() {
      stopped = true;
      unsubscribe();
    },
  };
}
