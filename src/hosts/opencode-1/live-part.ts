import type { Clock } from "../../shared/clock.ts";
import { oneLine, plainText } from "../../shared/plain-text.ts";
import type { Progress, ProgressView } from "../../tools/tool.ts";
import type { HostClient } from "./host-client.ts";

export interface PartAddress {
  readonly sessionID: string;
  readonly messageID: string;
  readonly callID: string;
}

/** Nobody reads faster, and every update is stored and sent to every client. */
const INTERVAL_MS = 250;

/** An update takes at most this share of the time: one of hundreds of jobs is large, and costs their machine. */
const SHARE = 1 / 40;

/** Lets the request that carries the tool's result go first. */
const REMOVE_DELAY_MS = 150;

/** Last characters of the ids of our live text parts. */
const MARK = "paLivePart";

/**
 * Shows what a running tool does. OpenCode ignores `metadata()` of plugin tools, and its terminal UI shows neither title
 * nor metadata of a running one. So this patches two parts: the tool's own (title and metadata, for clients that read
 * them) and a text part of ours below it, which every interface draws and which is deleted once the tool ends. Updates
 * are sent at most every `INTERVAL_MS`, less often where one takes long, and the newest wins. None is sent after `stop`: it would undo the tool's result.
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
  let wanted: (() => ProgressView) | null = null;
  let sending: Promise<void> = Promise.resolve();
  let cancelTimer: (() => void) | null = null;
  let stopped = false;
  let intervalMs = INTERVAL_MS;

  async function send(): Promise<void> {
    if (stopped || !wanted) return;
    const view = wanted();
    wanted = null;
    const { data } = await client.session.message({ sessionID, messageID });
    const part = data?.parts.find((one) => one.type === "tool" && one.callID === callID);
    // Writing back a part that is still pending would abort the call.
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

  async function sendTimed(): Promise<void> {
    const since = clock.now();
    await send().catch(() => {}); // a view that could not be shown does not fail the tool
    intervalMs = Math.max(INTERVAL_MS, (clock.now() - since) / SHARE);
    cancelTimer = null;
    schedule();
  }

  function schedule(): void {
    if (cancelTimer || stopped || !wanted) return;
    cancelTimer = clock.after(intervalMs, () => {
      sending = sendTimed();
    });
  }

  return {
    show(view) {
      wanted = view;
      schedule();
    },
    async stop() {
      stopped = true;
      cancelTimer?.();
      await sending;
      if (textPartID)
        clock.after(
          REMOVE_DELAY_MS,
          () => void client.part.delete({ sessionID, messageID, partID: textPartID as string }).catch(() => {}),
        );
    },
  };
}

/** Keeps live parts from the model, also one that a killed process left behind: it would read as the model's own words. */
export function hideLiveParts(messages: readonly { parts: { id: string }[] }[]): void {
  for (const message of messages) {
    if (!message.parts.some(isLive)) continue;
    message.parts = message.parts.filter((part) => !isLive(part));
  }
}

const isLive = ({ id }: { id: string }): boolean => id.endsWith(MARK);
