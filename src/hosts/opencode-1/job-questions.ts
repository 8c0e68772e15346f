import type { Log } from "../../shared/log.ts";
import type { JobSessions } from "../shared/job-sessions.ts";
import type { HostClient } from "./host-client.ts";

/** Whether to go on after three equal calls is all that a job may be asked; what it may do is settled. */
const GO_ON = "doom_loop";

const REFUSAL = "Nobody answers in a job. Decide for yourself with what you have, and say in the end what you assumed.";

/**
 * Answers what the host asks in sessions of jobs, at once: many clients show nobody those questions, and a job that
 * waits for an answer waits until it counts as stalled. Agents of the user's own may have rules that ask.
 */
export function createJobQuestions(
  client: Pick<HostClient, "permission" | "question">,
  jobSessions: Pick<JobSessions, "jobOf">,
  log: Log,
) {
  async function answer(type: string, requestID: string, permission: unknown): Promise<void> {
    if (type === "question.asked") await client.question.reject({ requestID });
    else if (permission === GO_ON) await client.permission.reply({ requestID, reply: "once" });
    else await client.permission.reply({ requestID, reply: "reject", message: REFUSAL });
  }

  /** The hook is not awaited, so nothing may be thrown into it. */
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
