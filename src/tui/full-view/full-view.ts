import { useTerminalDimensions } from "@opentui/solid";
import { createMemo, createSignal, onCleanup } from "solid-js";
import { type Element, eachPlace, el, show } from "../element.ts";
import { type Line, piece, row } from "../text.ts";
import { rowOf } from "../theme.ts";
import { part, type Ui } from "../ui.ts";
import { entryRow } from "./entry-row.ts";
import { filterLine } from "./filter-line.ts";
import { headLine, keysLine, warningOf } from "./head-line.ts";
import { helpLines } from "./help.ts";
import { actOnJob } from "./job-actions.ts";
import { choose, looksAfter } from "./looks.ts";
import type { Memory } from "./memory.ts";
import { createModel, type Model } from "./model.ts";
import { notShown } from "./not-shown.ts";

/** Rows above and below list and detail: the head, a line, the status and the keys. */
const FRAME_ROWS = 4;
/** Rows below which the line and the keys make room for the list. */
const LOW = 8;

/** The jobs of a session on the whole screen. @param session the orchestrator's; null = none has jobs */
export function fullView(ui: Ui, session: string | null, memory: Memory): Element {
  const { theme } = ui.api;
  const terminal = useTerminalDimensions();
  const [measured, setMeasured] = createSignal<number | null>(null);
  const isLow = createMemo(() => terminal().height < LOW);
  const size = createMemo(() => ({
    columns: Math.max(1, terminal().width - 2),
    rows: Math.max(1, (measured() ?? terminal().height) - (isLow() ? FRAME_ROWS - 2 : FRAME_ROWS)),
  }));
  const model = createModel(ui, session, memory.looks, size);
  const columns = () => size().columns;
  const [answer, say] = createAnswer(ui);

  memory.act = (action) => {
    memory.setLooks((before) => looksAfter(before, action, model.seen()));
    if (session !== null) actOnJob({ ui, session, say }, model.entry(), action);
  };
  onCleanup(() => {
    memory.act = null;
  });

  let hadJobs = false;
  const head = (): Line => {
    const view = model.view();
    hadJobs ||= view !== null;
    if (view) return headLine(view, memory.looks(), model.shown(), columns());
    const why = hadJobs
      ? "They are not there any more: the session was deleted, or its state was removed."
      : "None were started here yet.";
    return row(columns(), [{ ...piece("Jobs"), bold: true }, piece(` ${ui.source.problem() ?? why}`)]);
  };
  const status = (): Line => {
    const [view, said] = [model.view(), answer()];
    if (said) return row(columns(), [piece(said.text, said.isError ? "bad" : "good")]);
    return row(columns(), [piece(ui.source.problem() ?? (view ? warningOf(view) : ""), "warning")]);
  };
  return el(
    "box",
    {
      flexGrow: 1,
      paddingLeft: 1,
      paddingRight: 1,
      flexDirection: "column",
      backgroundColor: () => theme.current.background,
      onSizeChange(this: { readonly height: number }) {
        setMeasured(this.height);
      },
    },
    part(ui, "Head", () => rowOf(theme, head)),
    show(
      () => !isLow(),
      () => rule(ui, columns),
    ),
    show(
      () => memory.looks().isHelp,
      () => help(ui, () => size()),
      () => panes(ui, model, memory),
    ),
    show(
      () => memory.looks().isTyping,
      () => filterLine(ui, memory),
      () => part(ui, "Status", () => rowOf(theme, status)),
    ),
    show(
      () => !isLow(),
      () => rowOf(theme, () => keysLine(columns())),
    ),
  );
}

function panes(ui: Ui, model: Model, memory: Memory): Element {
  const isBeside = () => model.layout().detail?.isBeside ?? false;
  const room = () => model.layout().detail;
  return el(
    "box",
    { flexDirection: () => (isBeside() ? "row" : "column"), flexGrow: 1, flexShrink: 1, overflow: "hidden" },
    list(ui, model, memory),
    show(
      () => room() !== null && !isBeside(),
      () => rule(ui, () => room()?.columns ?? 0),
    ),
    el(
      "box",
      {
        paddingLeft: () => (isBeside() ? GAP : 0),
        height: () => room()?.rows ?? 0,
        width: () => (room()?.columns ?? 0) + (isBeside() ? GAP : 0),
        flexShrink: 0,
        flexDirection: "column",
      },
      part(ui, "Detail", () => eachPlace(model.visibleDetail, (line) => rowOf(ui.api.theme, line))),
    ),
  );
}

/** Columns between list and detail, where they are beside each other. */
const GAP = 3;

function list(ui: Ui, model: Model, memory: Memory): Element {
  const { theme } = ui.api;
  const room = () => model.layout().list;
  const turn = (by: number) => memory.act?.(by < 0 ? "up" : "down");
  return el(
    "box",
    {
      width: () => room().columns,
      height: () => room().rows,
      flexShrink: 0,
      flexDirection: "column",
      onMouseScroll: ({ scroll }: { readonly scroll?: { readonly direction: string } }) =>
        turn(scroll?.direction === "up" ? -1 : 1),
    },
    eachPlace(model.visible, (entry) => {
      const isChosen = () => entry().key === model.entry()?.key;
      const facts = () => ({ columns: room().columns, metric: model.metric(), asking: model.asking() });
      return el(
        "box",
        {
          height: 1,
          flexShrink: 0,
          backgroundColor: () => (isChosen() ? theme.current.backgroundElement : theme.current.background),
          onMouseUp: () => {
            if (isChosen()) memory.act?.("open");
            else if (entry().kind !== "heading") memory.setLooks((before) => choose(before, entry().key));
          },
        },
        part(ui, "Job", () => rowOf(theme, () => safely(() => entryRow(entry(), isChosen(), facts(), model.now())))),
      );
    }),
  );
}

/** A row that cannot be worked out says so, and is right again with the next one in its place. */
function safely(line: () => Line): Line {
  try {
    return line();
  } catch (error) {
    return notShown("  Job", error);
  }
}

function help(ui: Ui, size: () => { readonly columns: number; readonly rows: number }): Element {
  return el(
    "box",
    { flexDirection: "column", flexGrow: 1, flexShrink: 1, overflow: "hidden" },
    eachPlace(
      () => helpLines(size().columns, size().rows),
      (line) => rowOf(ui.api.theme, line),
    ),
  );
}

const rule = (ui: Ui, columns: () => number): Element =>
  rowOf(ui.api.theme, () => [piece("─".repeat(Math.max(0, columns())), "muted")]);

/** What was last asked for and how it went. It goes after a while, as it is about what is past. */
function createAnswer({ clock }: Ui) {
  const [answer, setAnswer] = createSignal<{ readonly text: string; readonly isError: boolean } | null>(null);
  let cancel = () => {};
  onCleanup(() => cancel());
  const say = (text: string, isError: boolean) => {
    cancel();
    setAnswer({ text, isError });
    cancel = clock.after(STAYS_MS, () => setAnswer(null));
  };
  return [answer, say] as const;
}

const STAYS_MS = 30_000;
