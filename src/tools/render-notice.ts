import { isEnded, type Job } from "../jobs/job.ts";
import { viewRecords } from "./job-views.ts";
import { renderJobLine, renderResults } from "./render-jobs.ts";

/** The message about ended jobs that an orchestrator gets without having asked. */
export function renderNotice(ended: readonly Job[], openJobs: number): string {
  const jobs = ended.length === 1 ? "A job has ended" : `${ended.length} jobs have ended`;
  const rest = openJobs === 0 ? "No other job is under way." : `${openJobs} more under way; wait with agents_wait.`;
  return [
    `${jobs}. This is a message of the parallel agents plugin, not of the user.`,
    renderResults(viewRecords(ended)),
    rest,
  ].join("\n");
}

const REMINDED_JOBS = 60;
const REMINDED_CHARACTERS = 400;

/** What a summary of the conversation must keep of its jobs. */
export function renderReminder(jobs: readonly Job[]): string {
  const lines = viewRecords(jobs.slice(-REMINDED_JOBS)).map((job) => {
    const result = job.result?.replace(/\s+/g, " ").slice(0, REMINDED_CHARACTERS);
    return `${renderJobLine(job)}${result === undefined ? "" : ` · result: ${result}`}`;
  });
  const left = jobs.length - lines.length;
  return [
    "The agent started these jobs with agents_start. Keep this list in the summary: id, description, state, and what came out.",
    ...(left > 0 ? [`(${left} older ones are listed by agents_status.)`] : []),
    ...lines,
    jobs.every(({ state }) => isEnded(state))
      ? ""
      : "Those that have not ended go on; their results are still to come.",
    "agents_wait with a job's id returns its whole result again.",
  ]
    .filter((line) => line !== "")
    .join("\n");
}
