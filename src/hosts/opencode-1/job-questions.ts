import { QUESTION_REFUSAL } from "../../prompt/job-refusals.ts";
import type { Log } from "../../shared/log.ts";
import type { JobSessions } from "../shared/job-sessions.ts";
import type { HostClient } from "./host-client.ts";

/** OpenCode's question whether to go on after three equal calls: the only one allowed, since it is about no access. */
const LOOP_PERMISSION = "doom_loop";

/**
 * Answers questions in sessions of jobs at once. Many clients do not show those questions, and a job that waits for an
 * answer would wait until it counts as stalled. A user's own agents may have rules that ask.
 */
export function createJobQuestions(
  client: Pick<HostClient, "permission" | "question">,
  jobSessions: Pick<JobSessions, "jobOf">,
  log: Log,
) {
  async function answer(type: string, requestID: string, permission: unknown): Promise<void> {
    if (type === "question.asked") await client.question.reject({ requestID });
    else if (permission === LOOP_PERMISSION) await client.permission.reply({ requestID, reply: "once" });
    else await client.permission.reply({ requestID, reply: "reject", message: QUESTION_REFUSAL });
  }

  /** Never rejects: OpenCode does not await its listeners. */
  return async (type: string, properties: Readonly<Record<string, unknown>>): Promise<void> => {
    if (type !== "permission.asked" && type !== "question.asked") return;
    const { id, sessionID, permission } = properties;
    if (typeof id !== "string" || typeof sessionID !== "string") return;
    try {
      if (await jobSessions.jobOf(sessionID)) await answer(type, id, permission);
    } catch (error) {
      log("warn", "could not answer a question in a job", { sessionID, permission, reason: String(error) });
    }
  };
}
