import type { Log } from "../../shared/log.ts";
import type { JobSessions } from "../shared/job-sessions.ts";
import { unwrap } from "./host-client.ts";
import type { JobInstances } from "./job-instance.ts";

export interface JobPatches {
  /** Takes in a part that OpenCode has stored. Never rejects. */
  hear(
    part: { readonly type: string; readonly id: string; readonly messageID: string },
    sessionID: string,
  ): Promise<void>;
}

/**
 * What the user changes in his files during a step of a job, OpenCode takes for the job's doing, where their sessions share
 * an instance: an undo in the job's session would take it back. Jobs change no files of the user's, so their sessions keep
 * no record of such changes.
 * @source OpenCode 1.18.33, verified: an undo goes by the parts of type `patch` alone
 */
export function createJobPatches(
  instances: Pick<JobInstances, "of">,
  jobSessions: Pick<JobSessions, "jobOf">,
  log: Log,
): JobPatches {
  return {
    async hear({ type, id: partID, messageID }, sessionID) {
      if (type !== "patch") return;
      try {
        if (!(await jobSessions.jobOf(sessionID))) return;
        const client = await instances.of(sessionID);
        const removed = client.part.delete({ sessionID, messageID, partID });
        await unwrap(removed, "prompt_failed", "remove a record of changed files from a job's session");
      } catch (error) {
        log("warn", "an undo in a job's session may take back the user's own changes", {
          sessionID,
          reason: String(error),
        });
      }
    },
  };
}
