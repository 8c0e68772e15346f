import type { SessionEvent } from "../../core/ports.ts";
import { repeatKey } from "../../core/repeats.ts";
import { withoutKeys } from "../../shared/without-keys.ts";
import { describe } from "./host-client.ts";

interface HostEvent {
  readonly type: string;
  readonly properties: Record<string, unknown>;
}

/** The domain's event for an event of OpenCode; null for the many that matter to no session. Events are hints: reading decides. */
export function createSessionEvents(): (event: HostEvent) => SessionEvent | null {
  /** What was last heard of each session that the domain reads it for. */
  const known = new Map<string, string>();
  return (event) => {
    const { sessionID, info } = event.properties as { sessionID?: string; info?: HostSession };
    if (sessionID !== undefined) {
      if (event.type === "session.deleted" || event.type === "message.removed") known.delete(sessionID);
      // OpenCode also updates a session with each step, and when it has a title.
      if (event.type === "session.updated") {
        const state = JSON.stringify([info?.revert?.messageID, info?.revert?.partID, info?.time?.archived]);
        if (known.get(sessionID) === state) return null;
        known.set(sessionID, state);
      }
    }
    return toSessionEvent(event);
  };
}

interface HostSession {
  readonly revert?: { readonly messageID: string; readonly partID?: string };
  readonly time?: { readonly archived?: number };
}

function toSessionEvent({ type, properties }: HostEvent): SessionEvent | null {
  const sessionID = properties.sessionID;
  if (typeof sessionID !== "string") return null; // errors without a session are OpenCode's own
  switch (type) {
    case "session.status":
      return toStatusEvent(sessionID, properties.status as HostStatus);
    case "session.idle":
      return { kind: "touched", sessionID };
    case "session.updated":
      return { kind: "changed", sessionID };
    case "session.error":
      return { kind: "error", sessionID, message: describe(properties.error) };
    case "session.deleted":
      return { kind: "deleted", sessionID };
    case "message.part.updated":
      return toPartEvent(sessionID, properties.part as HostPart);
    case "message.part.delta":
      return { kind: "output", sessionID };
    default:
      return null;
  }
}

type HostStatus =
  | { type: "idle" }
  | { type: "busy" }
  | { type: "retry"; attempt: number; message: string; next: number };
interface HostPart {
  readonly type: string;
  readonly id?: string;
  readonly tool?: string;
  readonly reason?: string;
  readonly state?: {
    readonly status: string;
    readonly input?: unknown;
    readonly output?: string;
    readonly error?: string;
    readonly time?: { readonly start: number; readonly end?: number };
  };
}

function toStatusEvent(sessionID: string, status: HostStatus): SessionEvent {
  if (status.type !== "retry") return { kind: status.type === "idle" ? "touched" : "progress", sessionID };
  const { attempt, message, next: nextAt } = status;
  return { kind: "retry", sessionID, attempt, message: withoutKeys(message), nextAt };
}

function toPartEvent(sessionID: string, { type, id = "", tool = "", reason, state }: HostPart): SessionEvent {
  if (type === "step-finish") return { kind: "step", sessionID, isLast: reason === "stop" };
  if (type !== "tool" || state?.status === "pending") return { kind: "output", sessionID };
  const seen = { kind: "tool", sessionID, call: id, tool } as const;
  if (!state || state.status === "running") return { ...seen, running: state !== undefined };
  const { input, output, error, time } = state;
  const tookMs = time?.end === undefined ? null : time.end - time.start;
  return { ...seen, running: false, ended: { key: repeatKey(tool, input, output ?? error ?? ""), tookMs } };
}
