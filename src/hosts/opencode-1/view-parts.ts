import { plainText } from "../../shared/plain-text.ts";
import type { HostClient } from "./host-client.ts";

/*
 * Text parts of ours in the conversation, for people. OpenCode would send those in an assistant's message to the model as
 * its own words, so they are taken out of every request, also after a restart. A fork copies parts under new ids but with
 * their metadata, and a summary is made from the messages that a request would have.
 * @source OpenCode 1.18.33, verified: requests, summaries, forks
 */

export interface PartPlace {
  readonly sessionID: string;
  readonly messageID: string;
  readonly partID: string;
}

/** Last characters of the ids of our views. */
const MARK = "paLivePart";
/** In the metadata of our views. */
const VIEW = "parallel-agents-view";

export const viewPartID = (hostIDs: (prefix: "prt") => string): string => hostIDs("prt").slice(0, -MARK.length) + MARK;

/** In the metadata of views that go on changing: who changes them. */
const WRITER = "parallel-agents-writer";

/**
 * Shows the text, in place of what the part showed before. Without an end time `opencode run` does not print it as an answer.
 * @param writer who goes on changing it, by the name of the process; null = it stays
 */
export function writeView(
  client: Pick<HostClient, "part">,
  place: PartPlace,
  text: string,
  writer: string | null = null,
): Promise<unknown> {
  const { sessionID, messageID, partID } = place;
  const part = {
    id: partID,
    sessionID,
    messageID,
    type: "text" as const,
    ignored: true,
    text: plainText(text),
    metadata: { [VIEW]: true, ...(writer !== null && { [WRITER]: writer }) },
  };
  return client.part.update({ sessionID, messageID, partID, part });
}

/** Keeps our views from the model. */
export function hideViews(messages: readonly { parts: PartOfMessage[] }[]): void {
  for (const message of messages) {
    if (!message.parts.some(isView)) continue;
    message.parts = message.parts.filter((part) => !isView(part));
  }
}

/** Who goes on changing the view; null = the part is none, or it stays. */
export function writerOf(part: PartOfMessage): string | null {
  const writer = isView(part) ? (part.metadata as Record<string, unknown> | null | undefined)?.[WRITER] : null;
  return typeof writer === "string" ? writer : null;
}

interface PartOfMessage {
  readonly id: string;
  readonly metadata?: unknown;
}

const isView = ({ id, metadata }: PartOfMessage): boolean =>
  id.endsWith(MARK) || (metadata as Record<string, unknown> | null | undefined)?.[VIEW] === true;
