import type { TuiPluginApi } from "@opencode-ai/plugin/tui";
import type { Clock } from "../shared/clock.ts";
import { type Element, guarded } from "./element.ts";
import type { LabSource } from "./lab-source.ts";
import { piece } from "./text.ts";
import { rowOf } from "./theme.ts";

/** What every part of the terminal UI is made from. */
export interface Ui {
  readonly api: TuiPluginApi;
  readonly source: LabSource;
  readonly clock: Clock;
}

/**
 * A part of the screen that an error of ours does not take with it, nor OpenCode: one line says that it is missing.
 * @param name of the part, in that line
 */
export const part = (ui: Pick<Ui, "api">, name: string, children: () => Element): Element =>
  guarded(children, (error) =>
    rowOf(ui.api.theme, () => [piece(`${name}: not shown (${error instanceof Error ? error.message : error})`, "bad")]),
  );
