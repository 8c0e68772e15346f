import { PluginError } from "../../shared/error-code.ts";
import { JOB_MARK } from "./child-sessions.ts";
import type { HostClient } from "./host-client.ts";

/** Which job a session belongs to: its own, or that of the session it descends from. */
export interface JobMark {
  readonly job: string;
  readonly orchestrator: string;
}

/** Tells job sessions from all others; asks the host once per session and remembers. */
export interface SessionKinds {
  /** @throws PluginError when the host does not answer: an unknown session must not count as harmless */
  jobOf(sessionID: string): Promise<JobMark | null>;
  /** Learns from a session event, so that asking is rarely needed. */
  learn(info: SessionInfo): void;
  forget(sessionID: string): void;
}

export interface SessionInfo {
  readonly id: string;
  readonly parentID?: string | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

/** The job that our own store records for a child session of `parentID`. */
export type RecordedJob = (sessionID: string, parentID: string) => Promise<JobMark | null>;

/**
 * A session's metadata says it at no cost, but any client may rewrite it, and after a restart nobody remembers what it
 * was; then our own store knows.
 */
export function createSessionKinds(client: HostClient, recordedJob: RecordedJob): SessionKinds {
  const known = new Map<string, { readonly mark: JobMark | null; readonly parentID: string | null }>();

  function learn({ id, parentID, metadata }: SessionInfo) {
    const entry = { mark: (metadata?.[JOB_MARK] as JobMark | undefined) ?? null, parentID: parentID ?? null };
    // A mark once seen stays: whoever rewrites a session's metadata must not free a job.
    if (!known.get(id)?.mark) known.set(id, entry);
    return known.get(id) ?? entry;
  }

  async function ask(sessionID: string) {
    const answer = await client.session.get({ sessionID }).catch((error) => ({ data: undefined, error }));
    if (!answer.data) {
      const message = `Could not learn whether the session ${sessionID} belongs to a job, so nothing is run for it.`;
      throw new PluginError("not_found", message, { cause: answer.error });
    }
    return learn(answer.data as SessionInfo);
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
    learn,
    forget: (sessionID) => {
      known.delete(sessionID);
    },
  };
}
