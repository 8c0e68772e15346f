import { formatUsd } from "../shared/usd.ts";
import type { JobView } from "../views/job-view.ts";
import type { LabView } from "../views/lab-view.ts";
import { counterOf, countsOf, doingOf, dollars, errorOf, markOf, metricsOf, runningTimeOf } from "./format.ts";
import { columnsOf, cut, type Line, piece, row } from "./text.ts";

/** Columns of the sidebar that are ours. */
export const SIDEBAR_COLUMNS = 37;

/** One row of the sidebar. It is worked out when it is drawn, so that an error in one leaves the others. */
export interface SidebarRow {
  /** @param now epoch ms */
  line(now: number): Line;
  /** The job that a click opens; null = none. */
  readonly job: JobView | null;
}

/** Columns of what a job does that stay beside its number. */
const LEAST_DOING = 12;
/** Of each kind; more are counted in a row of their own. */
const MOST_RUNNING = 6;
const MOST_FAILED = 3;
const MOST_DONE = 3;

/** A session's jobs by urgency: what runs, what waits, what went wrong, what is done. */
export function sidebarRows(view: LabView): readonly SidebarRow[] {
  const of = (...states: JobView["state"][]) => view.jobs.filter(({ state }) => states.includes(state));
  const newestFirst = (jobs: readonly JobView[]) => [...jobs].reverse();
  // Those that something keeps from working are what a person may have to do something about.
  const running = [...of("running", "starting")].sort(
    (a, b) => Number(b.reason !== undefined) - Number(a.reason !== undefined),
  );
  const [failed, done] = [newestFirst(of("failed")), newestFirst(of("completed", "cancelled"))];
  const [others, cancelled] = [done.slice(MOST_DONE), of("cancelled")];
  const left = others.filter(({ state }) => state === "cancelled").length;
  return [
    { line: () => headOf(view), job: null },
    ...resourceRows(view),
    ...running.slice(0, MOST_RUNNING).flatMap((job) => [titleRow(job), ...detailRow(job)]),
    ...more(running.length - MOST_RUNNING, "more run", running[0]),
    ...queuedRow(of("queued")),
    ...(!view.isLive && of("queued").length > 0 && of("interrupted").length === 0 ? [GO_ON] : []),
    ...interruptedRow(of("interrupted")),
    ...failed.slice(0, MOST_FAILED).flatMap((job) => [titleRow(job), errorRow(job)]),
    ...more(failed.length - MOST_FAILED, "more failed", failed[0]),
    ...done.slice(0, MOST_DONE).map(titleRow),
    ...more(
      others.length - left,
      "more are done",
      others.find(({ state }) => state === "completed"),
    ),
    ...more(left, "more were cancelled", cancelled[0]),
    ...problemRows(view),
  ];
}

function headOf(view: LabView): Line {
  const { usd, budgetUsd } = view.spend;
  const ceiling = usd > 0 && budgetUsd !== null ? ` of ${formatUsd(budgetUsd)}` : "";
  const spent = `${dollars(usd)}${ceiling}`;
  return row(
    SIDEBAR_COLUMNS,
    [{ ...piece("Jobs "), bold: true }, ...counterOf(countsOf(view))],
    [piece(spent, budgetUsd !== null && usd >= NEAR * budgetUsd ? "warning" : "muted")],
  );
}

/** GPUs of all sessions, because they share them, and what this session's sandboxes cost now. */
function resourceRows({ pool, spend }: LabView): readonly SidebarRow[] {
  const gpus = Object.entries(pool.gpus)
    .filter(([type, { used }]) => used > 0 && type !== "total")
    .map(([type, { used, limit }]) => `${type} ${used}${limit === null ? "" : `/${limit}`}`);
  const rate = spend.usdPerHour > 0 ? [`${formatUsd(spend.usdPerHour)}/h`] : [];
  const text = [...gpus, ...rate].join(" · ");
  return text === "" ? [] : [{ line: () => row(SIDEBAR_COLUMNS, [piece(text, "muted")]), job: null }];
}

const titleRow = (job: JobView): SidebarRow => ({
  line: (now) =>
    row(SIDEBAR_COLUMNS, [markOf(job.state), piece(job.description)], [piece(runningTimeOf(job, now), "muted")]),
  job,
});

function detailRow(job: JobView): readonly SidebarRow[] {
  if (doingOf(job) === "" && Object.keys(job.metrics).length === 0) return [];
  const line = () => {
    const doing = doingOf(job);
    // What is cut is its words, not its number.
    const number = metricsOf(job, doing === "" ? 2 : 1);
    const room = SIDEBAR_COLUMNS - 2 - (number === "" ? 0 : columnsOf(number) + 3);
    const facts = [cut(doing, Math.max(LEAST_DOING, room)), number].filter(Boolean).join(" · ");
    return row(SIDEBAR_COLUMNS, [piece("  "), piece(facts, job.reason === undefined ? "muted" : "warning")]);
  };
  return [{ line, job }];
}

const errorRow = (job: JobView): SidebarRow => ({
  line: () => row(SIDEBAR_COLUMNS, [piece("  "), piece(errorOf(job), "muted")]),
  job,
});

function queuedRow(jobs: readonly JobView[]): readonly SidebarRow[] {
  const first = jobs.find(({ queuePosition }) => queuePosition !== undefined) ?? jobs[0];
  if (!first) return [];
  const what = jobs.length === 1 ? `${first.description} waits` : `${jobs.length} wait`;
  const why = first.reason === undefined ? "" : `: ${first.reason}`;
  return [{ line: () => row(SIDEBAR_COLUMNS, [markOf("queued"), piece(`${what}${why}`, "muted")]), job: null }];
}

function interruptedRow([first, ...others]: readonly JobView[]): readonly SidebarRow[] {
  if (!first) return [];
  const what = others.length === 0 ? first.description : `${others.length + 1} interrupted`;
  return [
    {
      line: () => row(SIDEBAR_COLUMNS, [markOf("interrupted"), piece(what, "warning")]),
      job: others.length === 0 ? first : null,
    },
    GO_ON,
  ];
}

/** Of jobs that nobody works on. */
const GO_ON: SidebarRow = {
  line: () => row(SIDEBAR_COLUMNS, [piece("  "), piece("write anything here and they go on", "muted")]),
  job: null,
};

const more = (count: number, what: string, like: JobView | undefined): readonly SidebarRow[] =>
  count <= 0 || !like
    ? []
    : [{ line: () => row(SIDEBAR_COLUMNS, [markOf(like.state), piece(`${count} ${what}`, "muted")]), job: null }];

function problemRows({ problems: [first, ...others] }: LabView): readonly SidebarRow[] {
  if (first === undefined) return [];
  const text = others.length === 0 ? first : `${others.length + 1} problems: ${first}`;
  return [{ line: () => row(SIDEBAR_COLUMNS, [piece("! ", "warning"), piece(text, "warning")]), job: null }];
}

/** Share of the budget from which on it is shown as a warning. */
const NEAR = 0.8;
