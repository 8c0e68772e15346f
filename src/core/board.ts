import type { Job } from "./job.ts";
import { type FoldedRuns, foldRuns, groupBy } from "./run-groups.ts";
import { perList } from "./stable-lists.ts";
import { countStates } from "./state-counts.ts";

/** A line of a list of jobs that people are shown in the conversation. */
export type BoardRow =
  | { readonly kind: "job"; readonly job: Job }
  /** Runs of one call, or those that a job's agent started. */
  | { readonly kind: "runs"; readonly group: FoldedRuns }
  | { readonly kind: "queued"; readonly jobs: readonly Job[] };

export interface Board {
  /** By urgency: what is at work, what failed, what waits, what is done. */
  readonly rows: readonly BoardRow[];
  /** Those that there is no room for. */
  readonly left: readonly Job[];
}

/** Lines. It is stored with the conversation, and scrolled past. */
const MOST_ROWS = 16;
/** Lines that failed jobs get at least, however many are at work. */
const FOR_FAILED = 6;
/** Runs of a call that have a line each. */
const FEW_RUNS = 3;

/**
 * @param viewer the job whose agent is shown it; null = the orchestrator's user is
 * @param isStart whether the jobs have just been started: then those that wait have a line each
 */
export function planBoard(jobs: readonly Job[], viewer: string | null = null, isStart = false): Board {
  const { own: single, folded } = foldRuns(jobs, { few: FEW_RUNS, atWork: 0, viewer });
  const waiting = single.filter(({ state }) => state.kind === "queued");
  const rows: readonly BoardRow[] = [
    ...folded.map((group) => ({ kind: "runs" as const, group })),
    ...single.filter(({ state }) => state.kind !== "queued").map((job) => ({ kind: "job" as const, job })),
    ...(waiting.length > 1 && !isStart
      ? [{ kind: "queued" as const, jobs: waiting }]
      : waiting.map((job) => ({ kind: "job" as const, job }))),
  ];
  const byUrgency = groupBy(rows, (row) => urgencyOf(jobsOf(row)));
  const of = (urgency: Urgency) => byUrgency.get(urgency) ?? [];
  let room = rows.length > MOST_ROWS ? MOST_ROWS - 1 : MOST_ROWS; // the last line counts the rest
  const take = (from: readonly BoardRow[], most: number): readonly BoardRow[] => {
    const taken = from.slice(0, Math.max(0, Math.min(most, room)));
    room -= taken.length;
    return taken;
  };
  const queued = take(of("waits"), isStart ? room - FOR_FAILED : FEW_RUNS);
  const failing = of("failed").toReversed(); // those that failed last, which is mostly why
  const firstFailed = take(failing, FOR_FAILED);
  const atWork = take(of("at_work"), room);
  const failed = [...firstFailed, ...take(failing.slice(firstFailed.length), room)].toReversed();
  const done = take(of("done").toReversed(), room).toReversed();
  const shown = [...atWork, ...failed, ...queued, ...done, ...take(of("cancelled"), room)];
  const isShown = new Set(shown);
  return { rows: shown, left: rows.filter((row) => !isShown.has(row)).flatMap(jobsOf) };
}

/** Jobs of a board that have a line each, or stand first in one: whoever shows it must know what they wait for. */
export const boardJobs = ({ rows }: Board): readonly Job[] =>
  rows.flatMap((row) => (row.kind === "runs" ? [] : row.kind === "queued" ? row.jobs.slice(0, 1) : [row.job]));

type Urgency = "at_work" | "failed" | "waits" | "done" | "cancelled";

const jobsOf = (row: BoardRow): readonly Job[] =>
  row.kind === "job" ? [row.job] : row.kind === "runs" ? row.group.runs : row.jobs;

/** Of a group, what is most urgent of its runs; of one that waits in the queue in part, that it is under way. */
const urgencyOf = perList((jobs: readonly Job[]): Urgency => {
  const states = countStates(jobs);
  const some = (...kinds: readonly Job["state"]["kind"][]) => kinds.some((kind) => states.has(kind));
  if (some("running", "starting", "interrupted")) return "at_work";
  if (some("queued")) return some("completed", "failed", "cancelled") ? "at_work" : "waits";
  if (some("failed")) return "failed";
  return some("completed") ? "done" : "cancelled";
});
