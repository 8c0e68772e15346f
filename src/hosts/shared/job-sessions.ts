import { PluginError } from "../../shared/error-code.ts";

/** The job that a session belongs to. */
export interface JobMark {
  readonly job: string;
  readonly orchestrator: string;
}

/** Key of the mark in a child session's metadata, which the host stores and returns after a restart. */
export const JOB_MARK = "parallel-agents";

/** Tells sessions of jobs, and all sessions below them, from the user's own. Asks the host once per session. */
export interface JobSessions {
  /** @throws PluginError when the host does not answer: an unknown session must not count as the user's */
  jobOf(sessionID: string): Promise<JobMark | null>;
  /** The session above this one; null for one of the user's own. Parents never change. @throws as above */
  parentOf(sessionID: string): Promise<string | null>;
  /** Takes in a session event of the host, which saves asking. */
  learn(session: SessionInfo): void;
  forget(sessionID: string): void;
}

export interface SessionInfo {
  readonly id: string;
  readonly parentID?: string | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

export interface JobSessionsDeps {
  /** Reads a session from the host. Rejects when it is not there or cannot be read. */
  readonly read: (sessionID: string) => Promise<SessionInfo>;
  /** The job that our own store records for a child session of `parentID`. */
  readonly recordedJob: (sessionID: string, parentID: string) => Promise<JobMark | null>;
}

/**
 * The mark in a session's metadata costs nothing to read, but any client may rewrite it. After a restart, when the
 * original is not remembered either, our own store decides.
 */
export function createJobSessions({ read, recordedJob }: JobSessionsDeps): JobSessions {
  const known = new Map<string, { readonly mark: JobMark | null; readonly parentID: string | null }>();

  function learn({ id, parentID, metadata }: SessionInfo) {
    const entry = { mark: (metadata?.[JOB_MARK] as JobMark | undefined) ?? null, parentID: parentID ?? null };
    // A mark once seen stays: rewriting a session's metadata must not free its job.
    if (!known.get(id)?.mark) known.set(id, entry);
    return known.get(id) ?? entry;
  }

  async function ask(sessionID: string) {
    try {
      return learn(await read(sessionID));
    } catch (cause) {
      const message = `Could not learn whether the session ${sessionID} belongs to a job, so nothing is run for it.`;
      throw new PluginError("not_found", message, { cause });
    }
  }

  return {
    async jobOf(sessionID) {
      for (let id: string | null = sessionID; id !== null; ) {
        const entry: { mark: JobMark | null; parentID: string | null } = known.get(id) ?? (await ask(id));
        const { parentID } = entry;
        const mark = entry.mark ?? (parentID === null ? null : await recordedJob(id, parentID));
        if (mark) {
          known.set(id, { mark, parentID });
          return mark;
        }
        id = parentID;
      }
      return null;
    },
    parentOf: async (sessionID) => (known.get(sessionID) ?? (await ask(sessionID))).parentID,
    learn,
    forget: (sessionID) => {
      known.delete(sessionID);
    },
  };
}
