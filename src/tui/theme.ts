import type { TuiPluginApi, TuiThemeCurrent } from "@opencode-ai/plugin/tui";
import { createMemo } from "solid-js";
import { type Element, el } from "./element.ts";
import type { Line, Tone } from "./text.ts";

export type Theme = Pick<TuiPluginApi["theme"], "current">;

const COLOURS = {
  text: "text",
  muted: "textMuted",
  good: "success",
  bad: "error",
  warning: "warning",
  accent: "primary",
} as const satisfies Record<Tone, keyof TuiThemeCurrent>;

/** A tone's colour in the theme of the moment: call it where it is used, then a change of theme is followed. */
export const colourOf = (theme: Theme, tone: Tone) => theme.current[COLOURS[tone]];

/** A row of the screen. It is drawn anew only when it reads differently, or the theme changes. */
export function rowOf(theme: Theme, line: () => Line, props: Parameters<typeof el<"text">>[1] = {}): Element {
  const current = createMemo(line, undefined, { equals: isSame });
  // A text without a colour is white, and so invisible in a light theme.
  return el("text", { fg: () => colourOf(theme, "text"), height: 1, flexShrink: 0, ...props }, () =>
    current().map(({ text, tone, bold = false }) =>
      el("span", { style: () => ({ fg: colourOf(theme, tone), bold }) as object }, text),
    ),
  );
}

const isSame = (a: Line, b: Line): boolean =>
  a.length === b.length &&
  a.every((one, at) => one.text === b[at]?.text && one.tone === b[at]?.tone && one.bold === b[at]?.bold);
