import type { Clock } from "../../shared/clock.ts";
import { oneLine, plainText } from "../../shared/plain-text.ts";
import type { Progress, ProgressView } from "../../tools/tool.ts";
import type { HostClient } from "./host-client.ts";

export interface PartAddress {
  readonly sessionID: string;
  readonly messageID: string;
  readonly callID: string;
}

/** More often nobody can read it, and every update is stored and sent to every client. */
const INTERVAL_MS = 250;

const REMOVE_MS = 150;

/** Ends the ids of the text parts that we show while a tool runs. */
const MARK = "paLivePart";

/**
 * Shows what a running tool does. The host ignores `metadata()` of plugin tools, and its terminal UI shows neither
 * title nor metadata of a running one. So two parts are patched: the tool's own (title and metadata, for clients that
 * read them) and a text part of ours below it, which every interface draws, and which is deleted before the tool
 * returns. Updates come at most every `INTERVAL_MS`, the newest wins; none is sent after `stop`, for it would undo the
 * tool's result.
 * @source OpenCode 1.18.33, verified against the binary
 */
export function createLivePart(
  client: HostClient,
  clock: Clock,
  hostIDs: (prefix: "prt") => string,
  address: PartAddress,
): Progress {
  const { sessionID, messageID, callID } = address;
  let textPartID: string | null = null;
  let wanted: ProgressView | null = null;
  let sending: Promise<void> = Promise.resolve();
  let cancelTimer: (() => void) | null = null;
  let stopped = false;

  async function send(): Promise<void> {
    if (stopped || !wanted) return;
    const view = wanted;
    wanted = null;
    const { data } = await client.session.message({ sessionID, messageID });
    const part = data?.parts.find((one) => one.type === "tool" && one.callID === callID);
    // A part that is still pending must not be written back: the call would be taken for aborted.
    if (stopped || part?.type !== "tool" || part.state.status !== "running") return;
    const state = {
      ...part.state,
      title: oneLine(view.title, 200),
      metadata: { ...part.state.metadata, ...view.metadata },
    };
    await client.part.update({ sessionID, messageID, partID: part.id, part: { ...part, state } });
    textPartID ??= hostIDs("prt").slice(0, -MARK.length) + MARK;
    const text = {
      id: textPartID,
      sessionID,
      messageID,
      type: "text" as const,
      ignored: true,
      text: plainText(view.text),
    };
    await client.part.update({ sessionID, messageID, partID: textPartID, part: text });
  }

  return {
    show(view) {
      wanted = view;
      if (cancelTimer || stopped) return;
      cancelTimer = clock.after(INTERVAL_MS, () => {
        cancelTimer = null;
        sending = sending.then(send).catch(() => {}); // a picture that could not be shown is no failure of the tool
      });
    },
    async stop() {
      stopped = true;
      cancelTimer?.();
      await sending;
      // Later: `hideLiveParts` keeps it from the model, and the request that carries the tool's result goes first.
      if (textPartID)
        clock.after(
          REMOVE_MS,
          () => void client.part.delete({ sessionID, messageID, partID: textPartID as string }).catch(() => {}),
        );
    },
  };
}

/** A picture left behind by a process that died must not reach the model as its own words. */
export function hideLiveParts(messages: readonly { parts: { id: string }[] }[]): void {
  for (const message of messages) {
    if (!message.parts.some(isLive)) continue;
    message.parts = message.parts.filter((part) => !isLive(part));
  }
}

const isLive = ({ id }: { id: string }): boolean => id.endsWith(MARK);
