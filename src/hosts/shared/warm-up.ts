import type { Log } from "../../shared/log.ts";
import type { JobSessions } from "./job-sessions.ts";
import type { RuntimeAccess } from "./runtime-access.ts";

/** Has things made ready before they are asked for. */
export interface WarmUp {
  /** The user writes or types in the session: sandboxes are made, if the options ask for that. Returns at once; never throws. */
  used(sessionID: string): void;
  /**
   * The session's model has begun to write a call that starts jobs, which takes seconds: the state is opened meanwhile.
   * Returns at once; never throws.
   */
  startWritten(sessionID: string): void;
}

export interface WarmUpDeps {
  readonly access: Pick<RuntimeAccess, "options" | "runtime">;
  readonly jobSessions: Pick<JobSessions, "jobOf">;
  readonly log: Log;
}

export function createWarmUp({ access, jobSessions, log }: WarmUpDeps): WarmUp {
  async function warmUp(sessionID: string): Promise<void> {
    const loaded = await access.options();
    const isWanted =
      loaded.kind !== "invalid" && Object.values(loaded.options.environments).some(({ warm }) => warm > 0);
    // A job's session is in use by its model.
    if (!isWanted || (await jobSessions.jobOf(sessionID))) return;
    await (await access.runtime()).warmUp(sessionID);
  }
  async function openState(sessionID: string): Promise<void> {
    if (await jobSessions.jobOf(sessionID)) return;
    await (await access.runtime()).sessionJobs(sessionID);
  }
  return {
    startWritten: (sessionID) => void openState(sessionID).catch(() => {}), // the call says what is wrong
    used: (sessionID) =>
      void warmUp(sessionID).catch((error) =>
        log("warn", "could not make sandboxes ready", { sessionID, reason: String(error) }),
      ),
  };
}
