import type { Clock } from "../../shared/clock.ts";
import type { Activity } from "../core/activity.ts";
import type { ChildSessions, SessionEvent } from "../core/ports.ts";

export interface SessionActivity {
  of(childSession: string | null): Activity;
  /** A turn begins, or got on in a way that no event told. */
  sign(childSession: string, isNew: boolean): void;
  stop(): void;
}

interface Heard {
  /** By call. */
  readonly tools: ReadonlyMap<string, string>;
  readonly retry: Activity["retry"];
}

const NOTHING: Heard = { tools: new Map(), retry: null };

/** @param onChange not called for mere signs of life: there are many a second */
export function createSessionActivity(
  sessions: ChildSessions,
  clock: Clock,
  onChange: (childSession: string) => void,
): SessionActivity {
  const pictures = new Map<string, Heard>();
  const signs = new Map<string, number>();

  const unsubscribe = sessions.on((event) => {
    const { sessionID } = event;
    if (signs.has(sessionID) && SIGNS.has(event.kind)) signs.set(sessionID, clock.now());
    if (event.kind === "deleted") signs.delete(sessionID);
    const before = pictures.get(sessionID) ?? NOTHING;
    const after = next(before, event);
    if (after === before) return;
    if (after === NOTHING) pictures.delete(sessionID);
    else pictures.set(sessionID, after);
    onChange(sessionID);
  });

  return {
    of(childSession) {
      const { tools, retry } = pictures.get(childSession ?? "") ?? NOTHING;
      return { tool: [...tools.values()].at(-1) ?? null, retry, lastActivityAt: signs.get(childSession ?? "") ?? null };
    },
    sign(childSession, isNew) {
      if (isNew || signs.has(childSession)) signs.set(childSession, clock.now());
    },
    stop: unsubscribe,
  };
}

const SIGNS: ReadonlySet<string> = new Set<SessionEvent["kind"]>(["output", "step", "tool", "retry"]);

function next(before: Heard, event: SessionEvent): Heard {
  switch (event.kind) {
    case "tool": {
      if (before.tools.has(event.call) === event.running) return before;
      const tools = new Map(before.tools);
      if (event.running) tools.set(event.call, event.tool);
      else tools.delete(event.call);
      return { ...before, tools };
    }
    case "retry":
      return { ...before, retry: event };
    case "progress":
    case "output":
      return before.retry ? { ...before, retry: null } : before;
    case "touched":
    case "deleted":
      return NOTHING;
    default:
      return before;
  }
}
