import { boardJobs, planBoard } from "../core/board.ts";
import { isEnded, type Job } from "../core/job.ts";
import { countStates } from "../core/state-counts.ts";
import { doingOf } from "../jobs/live/doing.ts";
import type { Runtime } from "../jobs/runtime.ts";
import { renderBoard } from "../prompt/job-board.ts";
import { type JobView, toJobView } from "../views/job-view.ts";

/** Views of jobs as they are now: place in the queue, running tool, pending requests. */
export function viewJobs(runtime: Runtime, jobs: readonly Job[]): JobView[] {
  const now = runtime.clock.now();
  const doing = doingOf(runtime, jobs);
  return jobs.map((job) => toJobView(job, { ...doing(job), now }));
}

/** The jobs as people are shown them in the conversation: while a call runs, or as they have just been started, or to stay. `views`: of those with a line each. */
export function showBoard(
  runtime: Runtime,
  jobs: readonly Job[],
  viewer: string | null,
  as: "live" | "started" | "final",
): { readonly text: string; readonly views: readonly JobView[] } {
  const board = planBoard(jobs, viewer, as === "started");
  const views = viewJobs(runtime, boardJobs(board));
  return { text: renderBoard(board, views, jobs, runtime.clock.now(), as === "live"), views };
}

/** Jobs in an answer's metadata: the host stores it, sends it to its clients, and reads it at every step of the session. */
const MOST_VIEWS = 600;

/** Of very many jobs those at work, and then the newest: queued ones before ended ones. In the order given. */
export function withoutOlder(jobs: readonly Job[]): readonly Job[] {
  if (jobs.length <= MOST_VIEWS) return jobs;
  const states = countStates(jobs);
  const queued = states.get("queued") ?? 0;
  const ended = (states.get("completed") ?? 0) + (states.get("failed") ?? 0) + (states.get("cancelled") ?? 0);
  let roomForQueued = Math.max(0, MOST_VIEWS - (jobs.length - queued - ended));
  let roomForEnded = Math.max(0, roomForQueued - queued);
  return jobs
    .toReversed()
    .filter(({ state }) =>
      state.kind === "queued" ? --roomForQueued >= 0 : isEnded(state) ? --roomForEnded >= 0 : true,
    )
    .reverse();
}

/** Characters of all results in an answer's metadata, which the host stores and sends to its clients. */
const RESULTS_LIMIT = 1_000_000;

/** The jobs as an answer's metadata has them: of very many long results, their beginnings. */
export function toMetadata(jobs: readonly JobView[]): JobView[] {
  const each = Math.floor(RESULTS_LIMIT / Math.max(1, jobs.length));
  return jobs.map((job) => {
    const { result } = job;
    if (result === undefined || result.length <= each) return job;
    return { ...job, result: `${result.slice(0, each)}… [${result.length - each} characters more]` };
  });
}
