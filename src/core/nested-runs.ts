import { isEnded, type Job } from "./job.ts";
import { withNotes } from "./job-notes.ts";

/* Runs that the agent of a job has started. They live inside that job: in its slot, its money, and as long as it does. */

/** Tools by which a job's agent starts runs and follows them. */
export const NESTED_TOOLS: readonly string[] = ["agents_start", "agents_wait", "agents_status"];

/** Stands among forbidden tools for GPUs of runs that jobs start: nobody can be asked for them in a job. */
export const GPU_OF_RUNS = "gpu";

export const runsOf = (jobs: readonly Job[], starterID: string): Job[] =>
  jobs.filter(({ startedBy }) => startedBy === starterID);

/** Why a run is cancelled whose job has ended. */
export const JOB_ENDED = "its job has ended";

/** Why a run is cancelled whose job is at its limit, and ends as soon as its files are kept. */
export const JOB_STOPPED = "its job was stopped";

/** Whether a run ends with its job. */
const endsWithJob = ({ state }: Job): boolean =>
  !isEnded(state) || (state.kind === "cancelled" && state.reason === JOB_STOPPED);

/** Runs of a job that are named in its notes. */
const NAMED = 10;

/** A job as it ends, with a note of the runs that it started, and of those that end with it. @param jobs all of the session */
export function withRuns(job: Job, jobs: () => readonly Job[]): Job {
  const runs = job.task.run === null ? runsOf(jobs(), job.id) : [];
  if (runs.length === 0) return job;
  const open = runs.filter(endsWithJob);
  const counts = (["completed", "failed", "cancelled"] as const).flatMap((kind) => {
    const count = runs.filter((run) => run.state.kind === kind && !endsWithJob(run)).length;
    return count === 0 ? [] : [`${count} ${kind}`];
  });
  if (open.length > 0) counts.push(`${open.length} cancelled because the job ended`);
  const started = `It started ${runs.length} ${runs.length === 1 ? "run" : "runs"} itself: ${counts.join(", ")}.`;
  const names = open.slice(0, NAMED).map(({ id }) => id);
  const more = open.length > NAMED ? ` and ${open.length - NAMED} more` : "";
  const cut =
    open.length === 0 ? [] : [`These runs were open when it ended, and were cancelled: ${names.join(", ")}${more}.`];
  // A woken job ends again, with other counts.
  const notes = job.notes.filter((note) => !/^It started \d+ runs? itself: /.test(note));
  return withNotes({ ...job, notes }, [started, ...cut]);
}
