import type { Hooks } from "@opencode-ai/plugin";
import type { JobSessions } from "../shared/job-sessions.ts";
import type { SystemTexts } from "../shared/system-text.ts";

type SystemTransform = NonNullable<Hooks["experimental.chat.system.transform"]>;

/**
 * Replaces the system text of a job's session and extends that of any other conversation. Requests that are no
 * conversation (titles, compaction) lack OpenCode's block on the environment and are left alone.
 */
export function createSystemTransform(jobSessions: Pick<JobSessions, "jobOf">, texts: SystemTexts): SystemTransform {
  return async ({ sessionID }, { system }) => {
    if (!sessionID || !system.some((text) => text.includes("<env>"))) return;
    const mark = await jobSessions.jobOf(sessionID);
    if (mark) system.splice(0, system.length, await texts.forJob(mark));
    else system.push(await texts.forOrchestrator());
  };
}
