import { useTerminalDimensions } from "@opentui/solid";
import type { LabView } from "../views/lab-view.ts";
import { counterOf, countsOf, dollars } from "./format.ts";
import { orchestratorOf } from "./sessions.ts";
import { type Line, piece } from "./text.ts";
import { rowOf } from "./theme.ts";
import { part, type Ui } from "./ui.ts";

/** "2▶ 9… 1✗ $1.84" at the right end of the prompt's line. */
export function registerCounter(ui: Ui): void {
  ui.api.slots.register({
    order: 150,
    slots: {
      session_prompt_right: (_, { session_id }) =>
        part(ui, "Jobs", () => {
          const view = ui.source.follow(() => orchestratorOf(ui.api.state, session_id));
          const size = useTerminalDimensions();
          return rowOf(ui.api.theme, () => promptCounter(size().width < LEAST_COLUMNS ? null : view()));
        }),
    },
  });
}

/** Columns below which the host would break its own words beside it. The line below everything has the same. */
const LEAST_COLUMNS = 40;

/** Empty without jobs. */
export function promptCounter(view: LabView | null): Line {
  if (view === null) return [];
  const spent = dollars(view.spend.usd);
  const counter = counterOf(countsOf(view));
  return spent === "" ? counter : [...counter, piece(counter.length > 0 ? ` ${spent}` : spent, "muted")];
}
