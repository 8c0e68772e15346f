import type { ChildSessions, SessionEvent } from "./ports.ts";

/** What a child session does at the moment. Heard, not stored: after a restart it builds up again. */
export interface LivePicture {
  /** Tool that runs now. */
  readonly tool: string | null;
  /** The model request is being repeated. */
  readonly retry: { readonly attempt: number; readonly message: string; readonly nextAt: number } | null;
}

export interface LivePictures {
  of(childSession: string | null): LivePicture;
  stop(): void;
}

const NOTHING: LivePicture = { tool: null, retry: null };

export function createLivePictures(sessions: ChildSessions, onChange: (childSession: string) => void): LivePictures {
  const pictures = new Map<string, LivePicture>();

  const unsubscribe = sessions.on((event) => {
    const before = pictures.get(event.sessionID) ?? NOTHING;
    const after = next(before, event);
    if (after === before) return;
    if (after === NOTHING) pictures.delete(event.sessionID);
    else pictures.set(event.sessionID, after);
    onChange(event.sessionID);
  });

  return { of: (childSession) => pictures.get(childSession ?? "") ?? NOTHING, stop: unsubscribe };
}

function next(before: LivePicture, event: SessionEvent): LivePicture {
  if (event.kind === "tool") return event.tool === before.tool ? before : { ...before, tool: event.tool };
  if (event.kind === "retry") return { ...before, retry: event };
  if (event.kind === "progress") return before.retry ? { ...before, retry: null } : before;
  if (event.kind === "touched" || event.kind === "deleted") return NOTHING;
  return before;
}
