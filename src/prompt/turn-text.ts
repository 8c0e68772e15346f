import { oneLine, plainName } from "../shared/plain-text.ts";
import type { UpdateResult } from "../workspace/sandbox/update-tree.ts";

/* What a job's agent is told besides its prompts. It speaks for the plugin, so no name in it may pass for other text. */

const GO_ON = "Check where you left off, continue with your task, and end with the answer it asks for.";

/** Prompt for a turn that was stopped because its model went silent. */
export const toGoOnAfterSilence = (): string =>
  `You were stopped because you had been silent for a long time. ${GO_ON}`;

/** Prompt for a turn that a dead OpenCode process left. @param isInPlace whether the job still has the same sandbox */
export function toGoOnAfterRestart(isInPlace: boolean): string {
  const files = isInPlace
    ? "Your files are as you left them; a command that was running was cut off, and other processes may have ended."
    : "Your sandbox was lost and has been restored from its newest snapshot: files written since then are gone, and so are all processes.";
  return `OpenCode ended while you were working and has started again. ${files} ${GO_ON}`;
}

/** Message to an agent whose job is close to its time limit. @param minutes until it is stopped */
export const toWrapUp = (minutes: number): string =>
  `Your time is nearly over: you will be stopped in ${minutes < 1 ? "less than a minute" : `${Math.floor(minutes)} min`}. Start nothing new. Save what matters in files now, and finish with what you have: what is done, the numbers, where the files are, and what is missing.`;

const UPDATED = "The project has changed since you took its files, and your files were brought up to date with it";

/** Goes before the prompt of a turn for which the job's files were updated. Unusual file names are quoted. */
export function renderUpdated(updated: UpdateResult): string {
  if (updated.kind !== "conflicts") return `${UPDATED}: your commits were rebased without conflicts.`;
  const whole = "they contain all your work so far, uncommitted; your earlier commits are on the branch before-update";
  if (updated.paths.length === 0) return `${UPDATED}: ${whole}. There are no conflicts.`;
  return `${UPDATED}: ${whole}. These files contain conflict markers: ${updated.paths.map((path) => plainName(path)).join(", ")}. Resolve the conflicts first, respecting what both sides meant, and commit.`;
}

/** Goes there instead if the update failed. */
export const renderUpdateFailure = (problem: string): string =>
  `Your files were to be brought up to date with the project, but that failed: ${oneLine(problem)}. They are as you left them.`;
