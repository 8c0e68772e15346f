import { hasEnded } from "../../shared/process-identity.ts";
import type { HostClient } from "./host-client.ts";
import { writerOf, writeView } from "./view-parts.ts";

/** Views that showed what a call did when its OpenCode was killed: they would say for ever that jobs run. */
export interface StaleViews {
  /** Has the newest views of a session say so, once per session. Never rejects. */
  settle(sessionID: string): Promise<void>;
  /** The session was made just now: there is nothing in it. */
  isNew(sessionID: string): void;
}

/** @param self the name of this instance, which its own views bear */
export function createStaleViews(client: Pick<HostClient, "session" | "part">, self: string): StaleViews {
  const settled = new Set<string>();
  return {
    isNew: (sessionID) => void settled.add(sessionID),
    async settle(sessionID) {
      if (settled.has(sessionID)) return;
      settled.add(sessionID);
      try {
        const { data = [] } = await client.session.messages({ sessionID, limit: READ_LIMIT });
        for (const { info, parts } of data)
          for (const part of parts) {
            const writer = writerOf(part);
            if (part.type !== "text" || writer === null || !isStale(writer, self)) continue;
            const place = { sessionID, messageID: info.id, partID: part.id };
            await writeView(client, place, `${ENDED}\n\n${part.text}`);
          }
      } catch {
        // what cannot be shown stops nothing
      }
    },
  };
}

/** Where the process still runs, it is an earlier instance of it: of one directory there is one at a time. */
const isStale = (writer: string, self: string): boolean =>
  writer !== self && (hasEnded(writer) === true || processOf(writer) === processOf(self));

const processOf = (name: string): string => name.split(":")[0] ?? "";

const ENDED = "OpenCode ended here, and this call with it. This was shown last:";

/** Messages. */
const READ_LIMIT = 10;
