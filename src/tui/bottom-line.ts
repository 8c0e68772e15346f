import type { TuiPluginApi } from "@opencode-ai/plugin/tui";
import { useTerminalDimensions } from "@opentui/solid";
import { createMemo } from "solid-js";
import type { JobView } from "../views/job-view.ts";
import type { LabView } from "../views/lab-view.ts";
import { el, show } from "./element.ts";
import { counterOf, countsOf, doingOf, dollars, errorOf, markOf, metricsOf, runningTimeOf } from "./format.ts";
import { FULL_VIEW } from "./full-view/route.ts";
import { createNow } from "./now.ts";
import { jobOfSession, orchestratorOf, sessionOnScreen } from "./sessions.ts";
import { type Line, piece, row } from "./text.ts";
import { rowOf } from "./theme.ts";
import { part, type Ui } from "./ui.ts";

/** What of a job's own line tells how to act on it. */
export const JOB_KEYS = "o orchestrator · m message · x cancel";

/** The line below everything: which job a child session is, or that jobs are alive that nothing else on the screen shows. */
export function registerBottomLine(ui: Ui): void {
  const { api, source } = ui;
  api.slots.register({
    order: 150,
    slots: {
      app_bottom: () =>
        part(ui, "Jobs", () => {
          const session = () => sessionOnScreen(api.route);
          const orchestrator = () => {
            const id = session();
            return id === null ? null : orchestratorOf(api.state, id);
          };
          const view = source.follow(orchestrator);
          const job = createMemo(() => jobOfSession(api.state, view(), session()));
          const now = createNow(ui.clock, () => job()?.state === "running" || job()?.state === "starting");
          const size = useTerminalDimensions();
          const line = createMemo((): Line => {
            if (size().height < LEAST_ROWS) return [];
            const columns = size().width - 2;
            const own = job();
            if (own) return jobLine(own, commandOf(api.state, session()), columns, now());
            if (ui.sidebars.count() > 0 || api.route.current.name === FULL_VIEW) return [];
            return aliveLine(source.alive(), orchestrator(), (id) => api.state.session.get(id)?.title, columns);
          });
          return show(
            () => line().length > 0,
            () => el("box", { paddingLeft: 1, paddingRight: 1, height: 1, flexShrink: 0 }, rowOf(api.theme, line)),
          );
        }),
    },
  });
}

/** Rows below which the host has no room for its prompt as it is. */
const LEAST_ROWS = 10;

/** @param command what the newest command of its conversation is; "" = none runs */
export function jobLine(job: JobView, command: string, columns: number, now: number): Line {
  const doing = job.error ? errorOf(job) : command === "" ? doingOf(job) : command;
  const facts = [doing, metricsOf(job, 1), runningTimeOf(job, now)].filter(Boolean).join(" · ");
  const isNarrow = columns < NARROW;
  return row(
    columns,
    [
      markOf(job.state),
      piece(job.description),
      piece(facts === "" ? "" : ` · ${facts}`, "muted"),
      piece(isNarrow ? "" : ` · ${job.id}`, "muted"),
    ],
    [piece(isNarrow ? SHORT_KEYS : JOB_KEYS, "muted")],
  );
}

/** Columns below which the keys are named by their letters only. */
const NARROW = 100;
const SHORT_KEYS = "o up · m message · x cancel";

/** @param onScreen the session whose jobs are named without its title */
export function aliveLine(
  alive: readonly LabView[],
  onScreen: string | null,
  titleOf: (session: string) => string | undefined,
  columns: number,
): Line {
  const sessions = [...alive].sort((a, b) => Number(b.session === onScreen) - Number(a.session === onScreen));
  const parts = sessions.map((view) => {
    const title = view.session === onScreen ? "" : ` in "${titleOf(view.session) ?? view.session}"`;
    return [
      piece("Jobs", "muted"),
      piece(`${title} `, "muted"),
      ...counterOf(countsOf(view)),
      piece(view.spend.usd > 0 ? ` ${dollars(view.spend.usd)}` : "", "muted"),
    ];
  });
  return row(
    columns,
    parts.flatMap((line, at) => [...(at > 0 ? [piece(" · ", "muted")] : []), ...line]),
  );
}

/** The command that runs in a conversation on the screen, as its tool call has it. */
function commandOf(state: TuiPluginApi["state"], session: string | null): string {
  const message = session === null ? undefined : state.session.messages(session).at(-1);
  for (const one of message ? state.part(message.id) : []) {
    if (one.type !== "tool" || one.state.status !== "running") continue;
    const { command } = one.state.input as { readonly command?: unknown };
    return typeof command === "string" ? `$ ${command}` : one.tool;
  }
  return "";
}
