import { onCleanup } from "solid-js";
import { type Element, eachPlace, el, show } from "./element.ts";
import { createNow } from "./now.ts";
import { orchestratorOf } from "./sessions.ts";
import { SIDEBAR_COLUMNS, sidebarRows } from "./sidebar-rows.ts";
import { piece, row } from "./text.ts";
import { rowOf } from "./theme.ts";
import { openJob, part, type Ui } from "./ui.ts";

/** The section of the sidebar, after the one on the context. */
export function registerSidebar(ui: Ui): void {
  ui.api.slots.register({
    order: 150,
    slots: { sidebar_content: (_, { session_id }) => part(ui, "Jobs", () => sidebar(ui, session_id)) },
  });
}

function sidebar(ui: Ui, session: string): Element {
  ui.sidebars.add(1);
  onCleanup(() => ui.sidebars.add(-1));
  const orchestrator = () => orchestratorOf(ui.api.state, session);
  const view = ui.source.follow(orchestrator);
  const now = createNow(
    ui.clock,
    () => view()?.jobs.some(({ state }) => state === "running" || state === "starting") ?? false,
  );
  const rows = () => {
    const current = view();
    return current === null ? [] : sidebarRows(current);
  };
  const problem = () => ui.source.problem();
  return show(
    () => view() !== null || problem() !== null,
    () =>
      el(
        "box",
        {},
        show(
          () => problem() !== null,
          () => rowOf(ui.api.theme, () => row(SIDEBAR_COLUMNS, [piece(`! ${problem()}`, "warning")])),
        ),
        eachPlace(rows, (one) =>
          el(
            "box",
            {
              onMouseUp: () => {
                const { job } = one();
                if (job) openJob(ui, job);
              },
            },
            part(ui, "job", () => rowOf(ui.api.theme, () => one().line(now()))),
          ),
        ),
      ),
  );
}
