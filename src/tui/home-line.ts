import { useTerminalDimensions } from "@opentui/solid";
import { createMemo } from "solid-js";
import type { LabView } from "../views/lab-view.ts";
import { el, show } from "./element.ts";
import { type Line, piece, row } from "./text.ts";
import { rowOf } from "./theme.ts";
import { part, type Ui } from "./ui.ts";

/** Sessions that are looked at, the newest. */
const MOST = 5;

/** On the home screen: sessions of this project whose jobs were interrupted, and how they go on. */
export function registerHomeLine(ui: Ui): void {
  const { api, source } = ui;
  api.slots.register({
    order: 150,
    slots: {
      home_bottom: () =>
        part(ui, "Jobs", () => {
          const interrupted = createMemo(() => interruptedOf());
          const size = useTerminalDimensions();
          const line = () =>
            homeLine(interrupted(), (id) => api.state.session.get(id)?.title, Math.min(75, size().width - 4));
          return show(
            () => line().length > 0,
            () =>
              el(
                "box",
                {
                  onMouseUp: () => {
                    const [first] = interrupted();
                    if (first) api.route.navigate("session", { sessionID: first.session });
                  },
                },
                rowOf(api.theme, line),
              ),
          );
        }),
    },
  });

  function interruptedOf(): readonly LabView[] {
    const lab = source.lab();
    if (lab === null) return [];
    // The host lists the sessions of its project only, so these are the ones that can be opened here.
    const known = lab.sessions(null).filter(({ id }) => api.state.session.get(id) !== undefined);
    return known
      .slice(0, MOST)
      .flatMap(({ id }) => lab.view(id) ?? [])
      .filter((view) => countInterrupted(view) > 0);
  }
}

/** Jobs that wait for their session to be used again: also those whose process was killed and could record nothing. */
const countInterrupted = ({ isLive, jobs }: LabView): number =>
  isLive
    ? 0
    : jobs.filter(({ state }) => state === "interrupted" || state === "running" || state === "starting").length;

export function homeLine(
  interrupted: readonly LabView[],
  titleOf: (session: string) => string | undefined,
  columns: number,
): Line {
  const [first, ...others] = interrupted;
  if (!first) return [];
  const count = countInterrupted(first);
  const title = titleOf(first.session) ?? first.session;
  return row(columns, [
    piece("‖ ", "warning"),
    piece(`${count === 1 ? "1 job was" : `${count} jobs were`} interrupted in "${title}"`),
    piece(others.length === 0 ? "" : ` and in ${others.length} more`),
    piece(": write there to go on", "muted"),
  ]);
}
