import type { Log } from "../../shared/log.ts";
import type { JobSessions } from "./job-sessions.ts";
import type { RuntimeAccess } from "./runtime-access.ts";

/** Has sandboxes made ready when the user turns to a session, if the options ask for that. */
export interface WarmUp {
  /** The user writes or types in the session. Returns at once; never throws. */
  used(sessionID: string): void;
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
  return {
    used: (sessionID) =>
      void warmUp(sessionID).catch((error) =>
        log("warn", "could not make sandboxes ready", { sessionID, reason: String(error) }),
      ),
  };
}
