import type { TuiPluginApi } from "@opencode-ai/plugin/tui";
import { createSignal } from "solid-js";
import type { Clock } from "../shared/clock.ts";
import type { JobView } from "../views/job-view.ts";
import { type Element, guarded } from "./element.ts";
import type { LabSource } from "./lab-source.ts";
import { piece } from "./text.ts";
import { rowOf } from "./theme.ts";

/** What every part of the terminal UI is made from. */
export interface Ui {
  readonly api: TuiPluginApi;
  readonly source: LabSource;
  readonly clock: Clock;
  /** Live: how many sidebars of ours there are. The host shows and hides them, and tells nobody. */
  readonly sidebars: { count(): number; add(difference: number): void };
}

export function createUi(api: TuiPluginApi, source: LabSource, clock: Clock): Ui {
  const [count, setCount] = createSignal(0);
  return { api, source, clock, sidebars: { count, add: (difference) => void setCount((now) => now + difference) } };
}

/**
 * A part of the screen that an error of ours does not take with it, nor OpenCode: one line says that it is missing.
 * @param name of the part, in that line
 */
export const part = (ui: Pick<Ui, "api">, name: string, children: () => Element): Element =>
  guarded(children, (error) =>
    rowOf(ui.api.theme, () => [piece(`${name}: not shown (${error instanceof Error ? error.message : error})`, "bad")]),
  );

/** Opens a job's conversation. A run has none. */
export function openJob({ api }: Pick<Ui, "api">, { sessionID }: JobView): void {
  if (sessionID !== undefined) api.route.navigate("session", { sessionID });
}
