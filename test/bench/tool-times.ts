import type { ToolPart } from "@opencode-ai/sdk/v2/client";
import type { OpencodeServer } from "../support/opencode.ts";

/** Calls of a tool in a session. */
export interface Calls {
  readonly sessionID: string;
  readonly tool: string;
}

/** When the first call began that events since `since` tell of, epoch ms. */
export const firstStart = (server: OpencodeServer, since: number, calls: Calls): number =>
  Math.min(...spansOf(server, since, calls).map(({ start }) => start));

/** How long each call took that has ended, in milliseconds, in order. */
export const callTimes = (server: OpencodeServer, since: number, calls: Calls): number[] =>
  spansOf(server, since, calls).flatMap(({ start, end }) => (end === null ? [] : end - start));

/** Read from the events: a call's part forgets when the call began, as a tool that shows something begins anew there. */
function spansOf(server: OpencodeServer, since: number, { sessionID, tool }: Calls) {
  const spans = new Map<string, { start: number; end: number | null }>();
  for (const event of server.events.all.slice(since)) {
    const part = event.type === "message.part.updated" ? event.properties.part : null;
    if (part?.type !== "tool" || part.tool !== tool || part.sessionID !== sessionID) continue;
    const times = timesOf(part);
    if (!times) continue;
    const start = Math.min(times.start, spans.get(part.callID)?.start ?? times.start);
    spans.set(part.callID, { start, end: times.end });
  }
  if (spans.size === 0) throw new Error(`${tool} was not called`);
  return [...spans.values()];
}

function timesOf({ state }: ToolPart): { start: number; end: number | null } | null {
  if (!("time" in state)) return null;
  return { start: state.time.start, end: "end" in state.time ? state.time.end : null };
}
