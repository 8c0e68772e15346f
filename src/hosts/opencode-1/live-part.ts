import type { Clock } from "../../shared/clock.ts";
import { oneLine } from "../../shared/plain-text.ts";
import type { Progress, ProgressView } from "../../tools/tool.ts";
import type { HostClient } from "./host-client.ts";
import { viewPartID, writeView } from "./view-parts.ts";

export interface PartAddress {
  readonly sessionID: string;
  readonly messageID: string;
  readonly callID: string;
}

export interface LivePart extends Progress {
  /** Shows this for good, in place of what was shown while the tool ran. After `stop`. */
  leave(text: string): Promise<void>;
}

/** Nobody reads faster, and every update is stored and sent to every client. */
const INTERVAL_MS = 250;

/** An update takes at most this share of the time: one of hundreds of jobs is large, and costs their machine. */
const SHARE = 1 / 40;

/** Lets the request that carries the tool's result go first. */
const REMOVE_DELAY_MS = 150;

/** OpenCode marks the calls of a stopped turn as ended a quarter of a second later; on a busy machine that takes longer. */
const ABORT_SETTLE_MS = 1_000;

/**
 * Shows what a running tool does. OpenCode ignores `metadata()` of plugin tools, and its terminal UI shows neither title
 * nor metadata of a running one. So this patches two parts: the tool's own (title and metadata, for clients that read
 * them) and a text part of ours below it, which every interface draws. Once the tool ends it is deleted, or shows what the tool leaves. Updates
 * are sent at most every `INTERVAL_MS`, less often where one takes long, and the newest wins. None is sent after `stop`: it would undo the tool's result;
 * nor after the turn was stopped: the call would be shown, and taken, as running for good.
 * @param abort fires when the turn is stopped
 * @param writer by which `stale-views.ts` knows what nobody changes any more
 * @source OpenCode 1.18.33, verified against the binary
 */
export function createLivePart(
  client: HostClient,
  clock: Clock,
  hostIDs: (prefix: "prt") => string,
  address: PartAddress,
  abort: AbortSignal,
  writer: string,
): LivePart {
  const { sessionID, messageID, callID } = address;
  let textPartID: string | null = null;
  let wanted: (() => ProgressView) | null = null;
  let sending: Promise<void> = Promise.resolve();
  let cancelTimer: (() => void) | null = null;
  let cancelRemoval: (() => void) | null = null;
  let removing: Promise<unknown> = Promise.resolve();
  let stopped = false;
  let intervalMs = INTERVAL_MS;

  async function send(): Promise<void> {
    if (stopped || abort.aborted || !wanted) return;
    const show = wanted;
    const view = show();
    wanted = null;
    const part = await readOwn();
    if (stopped || abort.aborted) return;
    // Writing back a part that is still pending would abort the call. A tool may have nothing more to show.
    if (!part || part.state.status === "pending") wanted ??= show;
    if (part?.state.status !== "running") return;
    const metadata = { ...part.state.metadata, ...view.metadata };
    const state = { ...part.state, title: oneLine(view.title, 200), metadata };
    await client.part.update({ sessionID, messageID, partID: part.id, part: { ...part, state } });
    if (abort.aborted) return endAborted();
    await write(view.text, true);
  }

  async function readOwn() {
    const { data } = await client.session.message({ sessionID, messageID });
    const part = data?.parts.find((one) => one.type === "tool" && one.callID === callID);
    return part?.type === "tool" ? part : undefined;
  }

  /** The turn was stopped while an update was on its way, which may have arrived after OpenCode had ended the call. */
  async function endAborted(): Promise<void> {
    await new Promise<void>((resolve) => clock.after(ABORT_SETTLE_MS, resolve));
    const part = await readOwn();
    if (part?.state.status !== "running") return;
    const { input, metadata, time } = part.state;
    const state = {
      status: "error" as const,
      input,
      error: "Tool execution aborted", // as OpenCode says it
      metadata: { ...metadata, interrupted: true },
      time: { start: time.start, end: clock.now() },
    };
    await client.part.update({ sessionID, messageID, partID: part.id, part: { ...part, state } });
  }

  async function write(text: string, isLive: boolean): Promise<void> {
    textPartID ??= viewPartID(hostIDs);
    await writeView(client, { sessionID, messageID, partID: textPartID }, text, isLive ? writer : null);
  }

  function remove(): void {
    const partID = textPartID;
    if (partID === null) return;
    cancelRemoval = clock.after(REMOVE_DELAY_MS, () => {
      removing = client.part.delete({ sessionID, messageID, partID }).catch(() => {});
    });
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

  function show(view: () => ProgressView): void {
    wanted = view;
    schedule();
  }

  return {
    show,
    async showNow(view) {
      if (stopped) return;
      await write(view().text, true).catch(() => {}); // what cannot be shown does not keep the question from being asked
      show(view);
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      cancelTimer?.();
      await sending;
      remove();
    },
    async leave(text) {
      cancelRemoval?.();
      await removing;
      await write(text, false).catch(() => {}); // what people cannot be shown does not fail the tool
    },
  };
}
