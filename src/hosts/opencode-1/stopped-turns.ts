import type { HostClient } from "./host-client.ts";
import { viewPartID, writeView } from "./view-parts.ts";

/** What the user is shown below a turn that he has stopped. */
export interface StoppedTurns {
  /** Takes in an event of the host. Returns the session whose turn was stopped; null for every other event. */
  hear(type: string, properties: Readonly<Record<string, unknown>>): string | null;
  /** Adds the line below the session's last answer, once per answer. Never rejects. */
  tell(sessionID: string, text: string): Promise<void>;
}

export function createStoppedTurns(
  client: Pick<HostClient, "session" | "part">,
  hostIDs: (prefix: "prt") => string,
): StoppedTurns {
  const told = new Set<string>();
  return {
    hear(type, { sessionID, error }) {
      if (type !== "session.error" || typeof sessionID !== "string") return null;
      return (error as { name?: unknown } | undefined)?.name === "MessageAbortedError" ? sessionID : null;
    },
    async tell(sessionID, text) {
      try {
        const { data } = await client.session.messages({ sessionID, limit: READ_LIMIT });
        const messageID = data?.findLast(({ info }) => info.role === "assistant")?.info.id;
        if (messageID === undefined || told.has(messageID)) return;
        told.add(messageID);
        await writeView(client, { sessionID, messageID, partID: viewPartID(hostIDs) }, text);
      } catch {
        // a line that cannot be shown stops nothing
      }
    },
  };
}

/** Messages. */
const READ_LIMIT = 5;
