import { oneLine, plainName } from "../shared/plain-text.ts";
import type { UpdateResult } from "../workspace/sandbox/update-tree.ts";

/* What a job's agent is told besides its prompts. The plugin says it, so nothing in it may pass for words of others. */

const GO_ON = "See where you stand, go on with your task, and end with the answer it asks for.";

/** To a turn that was stopped because its model went silent. */
export const toGoOnAfterSilence = (): string =>
  `You were stopped because nothing was heard of you for a long time. ${GO_ON}`;

/** To a turn that a dead OpenCode process left. @param isInPlace its sandbox is still the same one */
export function toGoOnAfterRestart(isInPlace: boolean): string {
  const files = isInPlace
    ? "Your files are as you left them; processes may have ended."
    : "Your sandbox was lost and is restored from its newest snapshot: files written since are gone, and so are processes.";
  return `OpenCode ended while you were at work and has started again. ${files} ${GO_ON}`;
}

/** To an agent whose job is close to a limit. @param minutes until it is stopped */
export const toWrapUp = (minutes: number): string =>
  `Your time is nearly over: you will be stopped in ${minutes < 1 ? "less than a minute" : `${Math.floor(minutes)} min`}. Start nothing new. Save what matters in files now, and end with what you have: what is done, the numbers, where the files are, what is missing.`;

const UPDATED = "The project went on since you took its files, and they were brought up to date with it";

/** Before a turn for which the job's files were to be updated. Names of files stand quoted where they are not plain. */
export function renderUpdated(updated: UpdateResult): string {
  if (updated.kind !== "conflicts") return `${UPDATED}: your commits were rebased, and nothing conflicts.`;
  const whole = "all you did so far is in them, not committed; your former commits are on the branch before-update";
  if (updated.paths.length === 0) return `${UPDATED}: ${whole}. Nothing conflicts.`;
  return `${UPDATED}: ${whole}. These files conflict and hold conflict markers: ${updated.paths.map((path) => plainName(path)).join(", ")}. Resolve them first, by what both sides meant, and commit.`;
}

/** Instead, where that failed. */
export const renderUpdateFailure = (problem: string): string =>
  `Your files were to be brought up to date with the project, but that failed: ${oneLine(problem)}. They are as you left them.`;
