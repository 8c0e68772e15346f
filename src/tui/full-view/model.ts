import { createMemo } from "solid-js";
import type { Direction } from "../../core/run-task.ts";
import type { LabView } from "../../views/lab-view.ts";
import { createNow } from "../now.ts";
import { type Line, piece, row } from "../text.ts";
import type { Ui } from "../ui.ts";
import { detailLines } from "./detail-lines.ts";
import { entriesOf } from "./entries.ts";
import type { Entry } from "./entry.ts";
import { followDoing } from "./follow-doing.ts";
import { layoutOf } from "./layout.ts";
import { type Looks, metricOf, type Seen } from "./looks.ts";
import { notShown } from "./not-shown.ts";
import { directionOf, metricsIn } from "./ranking.ts";
import { chosenAt, firstShown } from "./window.ts";

/** What the full view shows; each part is worked out anew only when what it depends on has changed. */
export type Model = ReturnType<typeof createModel>;

/**
 * @param session the orchestrator's; null = none has jobs
 * @param size of list and detail together
 */
export function createModel(
  ui: Ui,
  session: string | null,
  looks: () => Looks,
  size: () => { readonly columns: number; readonly rows: number },
) {
  const view = ui.source.follow(() => session);
  const jobs = createMemo(() => view()?.jobs ?? []);
  const metrics = createMemo(() => metricsIn(jobs()));
  const metric = createMemo(() => metricOf(looks(), metrics()));
  const isRanked = createMemo(() => looks().order === "rank");
  const direction = createMemo((): Direction | null => {
    const name = metric();
    return name === null || !isRanked() ? null : directionOf(name, knownDirection(ui, session, name));
  });
  const asking = createMemo(() => askingOf(ui, view()), undefined, { equals: isSameSet });
  const entries = createMemo(() =>
    entriesOf(jobs(), { ...looks(), metric: metric(), direction: direction(), asking: asking() }),
  );
  const layout = createMemo(() => layoutOf(size().columns, size().rows, entries().length));
  const at = createMemo((former: number) => {
    const { chosen } = looks();
    return chosenAt(entries(), chosen, chosen === null ? 0 : former);
  }, 0);
  const first = createMemo((former: number) => firstShown(entries().length, layout().list.rows, at(), former), 0);
  const visible = createMemo(() => entries().slice(first(), first() + layout().list.rows));
  const now = createNow(ui.clock, () => jobs().some(({ state }) => state === "running" || state === "starting"));

  const entry = createMemo((): Entry | undefined => entries()[at()]);
  const job = createMemo(() => {
    const current = entry();
    return current?.kind === "job" ? current.job : null;
  });
  const jobID = createMemo(() => job()?.id ?? null);
  const task = createMemo(() => taskOf(ui, session, jobID()));
  const series = createMemo(() => {
    const current = job();
    const lab = ui.source.lab();
    if (current === null || session === null || lab === null || Object.keys(current.metrics).length === 0)
      return new Map<string, never>();
    return lab.series(session, current.id);
  });
  const doing = followDoing(ui, () => {
    const current = job();
    return current?.endedAt === undefined ? (current?.sessionID ?? null) : null;
  });
  const detail = createMemo((): readonly Line[] => {
    const [current, room] = [job(), layout().detail];
    if (room === null) return [];
    if (current === null) return foldLines(entry(), room.columns);
    const parent = jobs().find(({ id }) => id === current.parent)?.description ?? null;
    const children = jobs().filter((one) => one.parent === current.id).length;
    const facts = { columns: room.columns, task: task(), doing: doing(), series: series(), parent, children };
    try {
      return detailLines(current, facts, current.endedAt === undefined ? now() : 0);
    } catch (error) {
      return [notShown("Detail", error)];
    }
  });
  const detailFirst = createMemo(() =>
    Math.max(0, Math.min(looks().detailFirst, detail().length - (layout().detail?.rows ?? 0))),
  );
  const visibleDetail = createMemo(() => detail().slice(detailFirst(), detailFirst() + (layout().detail?.rows ?? 0)));

  const seen = (): Seen => ({
    entries: entries(),
    at: at(),
    rows: layout().list.rows,
    metrics: metrics(),
    detail: { lines: detail().length, rows: layout().detail?.rows ?? 0 },
  });
  const shown = () => ({
    metric: metric(),
    direction: direction(),
    jobs: jobs().length === 0 ? 0 : countJobs(entries()),
  });
  return {
    view,
    layout,
    asking,
    metric: () => (isRanked() ? metric() : null),
    first,
    at,
    visible,
    visibleDetail,
    now,
    entry,
    seen,
    shown,
  };
}

const countJobs = (entries: readonly Entry[]): number =>
  entries.reduce(
    (sum, one) => sum + (one.kind === "job" ? 1 : one.kind === "fold" && !one.isOpen ? one.jobs.length : 0),
    0,
  );

/** What was said of the metric where it was measured; the record may be unreadable, and then its name has to do. */
function knownDirection({ source }: Ui, session: string | null, metric: string): Direction | null {
  try {
    return session === null ? null : (source.lab()?.leaderboard(session, metric)?.direction ?? null);
  } catch {
    return null;
  }
}

/** Jobs whose conversation asks something that only a person may answer. */
function askingOf({ api }: Ui, view: LabView | null): ReadonlySet<string> {
  const { permission, question } = api.state.session;
  const asks = (id: string) => permission(id).length + question(id).length > 0;
  return new Set(
    (view?.jobs ?? [])
      .filter(({ sessionID, endedAt }) => endedAt === undefined && sessionID !== undefined && asks(sessionID))
      .map(({ id }) => id),
  );
}

function taskOf({ source }: Ui, session: string | null, id: string | null): string | null {
  if (session === null || id === null) return null;
  const task = source
    .lab()
    ?.records(session)
    .find((one) => one.id === id)?.task;
  return task === undefined ? null : (task.run?.command ?? task.prompt);
}

function foldLines(entry: Entry | undefined, columns: number): readonly Line[] {
  if (entry?.kind !== "fold") return [];
  return entry.jobs
    .slice(0, 100)
    .map((job) => row(columns, [piece(`${job.queuePosition ?? "–"} `, "muted"), piece(job.description)]));
}

const isSameSet = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a.size === b.size && [...a].every((one) => b.has(one));
