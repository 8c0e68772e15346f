import { isEnded, isHeld, type Job } from "../core/job.ts";
import { oneLine } from "../shared/plain-text.ts";

/* Jobs whose start the user has undone. */

/** On a job whose start is deleted. */
export const UNDONE_NOTE =
  "The user undid the message that started it and went on without it: the end of the job is not told to the agent.";

/** Why a queued job was cancelled. */
export const UNDONE_REASON = "the message that started it was undone";

const NAMED = 5;

/** What the user is told after an undo. */
export function renderUndone(jobs: readonly Job[]): string {
  const running = jobs.filter(({ state }) => isHeld(state));
  const queued = jobs.filter(({ state }) => !isHeld(state) && !isEnded(state));
  return [
    `What you have undone started ${nameAll(jobs)}.`,
    running.length > 0 ? `${count(running)} under way: such jobs go on, and their results are kept.` : "",
    queued.length > 0 ? `${count(queued)} waiting: such jobs do not start.` : "",
    "The agent is told nothing of them. Redo to have all as before; to end them, redo and ask the agent to cancel them.",
  ]
    .filter((line) => line !== "")
    .join(" ");
}

/** What the user is told once the undone messages are deleted. */
export function renderGone(jobs: readonly Job[]): string {
  const open = jobs.filter(({ state }) => !isEnded(state));
  return [
    `The messages that started ${nameAll(jobs)} are gone, so the agent is not told of their ends.`,
    open.length > 0
      ? `Still under way: ${nameAll(open)}. To stop them, ask the agent to cancel ${open
          .map(({ id }) => id)
          .slice(0, NAMED)
          .join(", ")}.`
      : "None of them is under way.",
  ].join(" ");
}

const count = ({ length }: readonly Job[]): string => (length === 1 ? "1 is" : `${length} are`);

function nameAll(jobs: readonly Job[]): string {
  const names = jobs.slice(0, NAMED).map(({ task }) => `"${oneLine(task.description, 60)}"`);
  const rest = jobs.length - names.length;
  return `${jobs.length === 1 ? "the job" : `${jobs.length} jobs:`} ${names.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}
