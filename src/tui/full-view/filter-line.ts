import type { InputRenderable } from "@opentui/core";
import { onCleanup, untrack } from "solid-js";
import { type Element, el } from "../element.ts";
import { piece } from "../text.ts";
import { rowOf } from "../theme.ts";
import type { Ui } from "../ui.ts";
import type { Memory } from "./memory.ts";

/** Where a filter is typed; the list follows each letter. */
export function filterLine({ api }: Ui, memory: Memory): Element {
  const { theme } = api;
  return el(
    "box",
    { height: 1, flexShrink: 0, flexDirection: "row" },
    rowOf(theme, () => [piece("/", "accent")], { width: 1 }),
    el("input", {
      flexGrow: 1,
      // Were it followed, each letter would make another input, and the next letters would be lost.
      value: untrack(() => memory.looks().filter),
      textColor: () => theme.current.text,
      focusedTextColor: () => theme.current.text,
      backgroundColor: () => theme.current.background,
      focusedBackgroundColor: () => theme.current.background,
      cursorColor: () => theme.current.primary,
      onInput: (filter: string) => memory.setLooks((before) => ({ ...before, filter })),
      ref: (input: InputRenderable) => {
        // It can be typed into once it is on the screen.
        queueMicrotask(() => input.focus());
        const stop = typedBefore(api, input);
        onCleanup(() => {
          stop();
          input.blur();
        });
      },
    }),
  );
}

/** Letters that come with the key that opens the line, over a slow connection, are the filter's too. */
function typedBefore({ keymap }: Ui["api"], input: InputRenderable): () => void {
  return keymap.intercept("key", ({ event, consume }: { event: KeyEvent; consume: () => void }) => {
    if (input.focused || event.ctrl || event.meta || !/^[^\p{C}]+$/u.test(event.sequence)) return;
    consume();
    input.insertText(event.sequence);
  });
}

interface KeyEvent {
  readonly ctrl: boolean;
  readonly meta: boolean;
  readonly sequence: string;
}
