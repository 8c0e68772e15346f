import { existsSync } from "node:fs";
import { forgetSession } from "../../jobs/actions/forget-session.ts";
import type { SessionJobs } from "../../jobs/session/session-jobs.ts";
import { sessionFile } from "../../jobs/store/session-store.ts";
import type { Log } from "../../shared/log.ts";
import type { JobMark } from "./job-sessions.ts";
import type { RuntimeAccess } from "./runtime-access.ts";

/** What the plugin's own store records of a session. Opens nothing for the many sessions that never had jobs. */
export interface RecordedJobs {
  /** The jobs that the session started; null when it started none. */
  startedBy(sessionID: string): Promise<SessionJobs | null>;
  /** The job of a child session of `parentID`. */
  ofChild(sessionID: string, parentID: string): Promise<JobMark | null>;
  /** Takes up the session's jobs where an earlier instance left them. Never rejects. */
  resume(sessionID: string): Promise<void>;
  /** Ends the jobs of a deleted session. Never rejects: hosts do not await their listeners. */
  forget(sessionID: string): Promise<void>;
}

export function createRecordedJobs(access: RuntimeAccess, log: Log): RecordedJobs {
  async function startedBy(sessionID: string): Promise<SessionJobs | null> {
    const loaded = await access.options();
    if (loaded.kind === "invalid" || !existsSync(sessionFile(loaded.options.stateDir, sessionID))) return null;
    return (await access.runtime()).sessionJobs(sessionID);
  }
  return {
    startedBy,
    async ofChild(sessionID, parentID) {
      const job = (await startedBy(parentID))?.whole.all().find(({ childSession }) => childSession === sessionID);
      return job ? { job: job.id, orchestrator: parentID } : null;
    },
    async resume(sessionID) {
      try {
        await startedBy(sessionID);
      } catch (error) {
        log("error", "could not go on with the jobs of a session", { sessionID, reason: String(error) });
      }
    },
    async forget(sessionID) {
      try {
        if (await startedBy(sessionID)) await forgetSession(await access.runtime(), sessionID);
      } catch (error) {
        log("error", "could not end the jobs of a deleted session", { sessionID, reason: String(error) });
      }
    },
  };
}
