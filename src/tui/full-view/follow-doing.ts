import { createComputed, createMemo, createSignal, onCleanup } from "solid-js";
import type { Ui } from "../ui.ts";
import { type Doing, type DoingPart, doingAfter, doingIn, NOTHING_DONE } from "./doing.ts";

/** Messages of a conversation that are looked at when it is chosen; from then on its events say the rest. */
const NEWEST = 2;

/** Live: what a job's conversation does, without being opened. @param session null = there is none, or it is at rest */
export function followDoing({ api }: Pick<Ui, "api">, session: () => string | null): () => Doing {
  const [doing, setDoing] = createSignal(NOTHING_DONE);
  const current = createMemo(session);
  createComputed(() => {
    const sessionID = current();
    setDoing(NOTHING_DONE);
    if (sessionID === null) return;
    let isOver = false;
    let hasNews = false;
    /** What a person or the orchestrator wrote is no output. */
    const prompts = new Set<string>();
    const stops = [
      api.event.on("message.updated", ({ properties: { info } }) => {
        if (info.sessionID === sessionID && info.role === "user") prompts.add(info.id);
      }),
      api.event.on("message.part.updated", ({ properties: { part } }) => {
        if (part.sessionID !== sessionID || prompts.has(part.messageID)) return;
        hasNews = true;
        setDoing((before) => doingAfter(before, part as DoingPart));
      }),
    ];
    onCleanup(() => {
      isOver = true;
      for (const stop of stops) stop();
    });
    const take = (parts: readonly DoingPart[]) => {
      if (!isOver && !hasNews) setDoing(doingIn(parts));
    };
    api.client.session.messages({ sessionID, limit: NEWEST }).then(
      ({ data }) =>
        take((data ?? []).flatMap(({ info, parts }) => (info.role === "user" ? [] : (parts as DoingPart[])))),
      () => {}, // its events say what it does next
    );
  });
  return doing;
}
