import { withNotes } from "../../core/job-notes.ts";
import type { ChildSessions } from "../../core/ports.ts";
import { questionNote } from "../../prompt/job-refusals.ts";
import type { Log } from "../../shared/log.ts";
import { oneLine } from "../../shared/plain-text.ts";
import type { SessionRegistry } from "../session/session-registry.ts";

export interface QuestionNotesDeps {
  readonly sessions: Pick<ChildSessions, "on">;
  readonly registry: Pick<SessionRegistry, "inUse">;
  readonly log: Log;
}

/** Has every job say which questions were answered in the user's place. Returns the function that ends this. */
export function noteQuestions({ sessions, registry, log }: QuestionNotesDeps): () => void {
  return sessions.on((event) => {
    if (event.kind !== "answered") return;
    const { orchestrator, jobID, question, isAllowed } = event;
    registry
      .inUse(orchestrator)
      ?.then((sessionJobs) => {
        if (!sessionJobs.get(jobID)) return;
        sessionJobs.update(jobID, (job) => withNotes(job, [questionNote(oneLine(question, 80), isAllowed)]));
      })
      .catch((error) => log("warn", "could not note a question on a job", { jobID, reason: String(error) }));
  });
}
