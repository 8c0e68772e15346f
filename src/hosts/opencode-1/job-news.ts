import type { Hooks } from "@opencode-ai/plugin";
import type { SessionJobs } from "../../jobs/session/session-jobs.ts";
import { renderReminder } from "../../prompt/notice.ts";
import type { Log } from "../../shared/log.ts";
import type { RuntimeAccess } from "./runtime-access.ts";

type UserParts = Parameters<NonNullable<Hooks["chat.message"]>>[1]["parts"];

/** What a session that started jobs is told of them at the host's own occasions. A failure is logged: it must not stop the user. */
export interface JobNews {
  /** Takes the session's jobs up again, and adds what is to be told of them to a message of the user's. */
  attach(sessionID: string, messageID: string, parts: UserParts): Promise<void>;
  /** Makes the summary that replaces the conversation keep the jobs. */
  remind(sessionID: string, context: string[]): Promise<void>;
}

export interface JobNewsDeps {
  readonly access: Pick<RuntimeAccess, "runtime">;
  /** null for a session that never had jobs. */
  readonly bookOf: (sessionID: string) => Promise<SessionJobs | null>;
  readonly partID: () => string;
  readonly log: Log;
}

export function createJobNews({ access, bookOf, partID, log }: JobNewsDeps): JobNews {
  const guarded = async (sessionID: string, tell: (sessionJobs: SessionJobs) => Promise<void>) => {
    try {
      const sessionJobs = await bookOf(sessionID);
      if (sessionJobs) await tell(sessionJobs);
    } catch (error) {
      log("warn", "could not tell a session of its jobs", { sessionID, reason: String(error) });
    }
  };
  return {
    attach: (sessionID, messageID, parts) =>
      guarded(sessionID, async () => {
        const text = await (await access.runtime()).outbox.attach(sessionID, messageID);
        if (text !== null) parts.push({ id: partID(), sessionID, messageID, type: "text", synthetic: true, text });
      }),
    remind: (sessionID, context) =>
      guarded(sessionID, async (sessionJobs) => {
        if (sessionJobs.all().length > 0) context.push(renderReminder(sessionJobs.all()));
      }),
  };
}
