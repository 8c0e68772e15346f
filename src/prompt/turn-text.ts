import { clockTime, type SandboxLoss } from "../core/sandbox-loss.ts";
import { nameList, oneLine, plainName } from "../shared/plain-text.ts";
import type { UpdateResult } from "../workspace/sandbox/update-tree.ts";

/* What a job's agent is told besides its prompts. It speaks for the plugin, so no name in it may pass for other text. */

const GO_ON = "Check where you left off, continue with your task, and end with the answer it asks for.";

/** Prompt for a turn that was stopped because its model went silent. */
export const toGoOnAfterSilence = (): string =>
  `You were stopped because you had been silent for a long time. ${GO_ON}`;

/** Prompt for a turn that ended with a summary, which the user asked for. */
export const toGoOnAfterSummary = (): string =>
  `The user had this conversation summarized while you were working, which stopped you. ${GO_ON}`;

/**
 * Prompt for a turn that a dead OpenCode process left.
 * @param loss of the job's sandbox meanwhile; null = the job still has the same one
 * @param besides what else it is told of
 */
export function toGoOnAfterRestart(loss: SandboxLoss | "unknown" | null, besides = ""): string {
  const files =
    loss === null
      ? "Your files are as you left them; a command that was running was cut off, and other processes may have ended."
      : loss !== "unknown" && loss.files?.kind === "last"
        ? "Your sandbox was lost and has been restored with its files of its last moment: all processes are gone."
        : "Your sandbox was lost and has been restored from its newest snapshot: files written since then are gone, and so are all processes.";
  return `OpenCode ended while you were working and has started again. ${files}${besides === "" ? "" : ` ${besides}`} ${GO_ON}`;
}

/**
 * Prompt for a turn that was stopped because the sandbox was lost.
 * @param gpu what the lost sandbox had and what the new one has; null = none
 */
export function toGoOnAfterLoss(
  { at, why, files }: SandboxLoss,
  gpu: { readonly before: string | null; readonly now: string | null },
): string {
  const left =
    files?.kind === "last"
      ? "Your files are those of that moment: nothing you had written is lost."
      : files?.kind === "snapshot"
        ? `Your files are those of a snapshot taken at ${clockTime(files.takenAt)}: what was written since then is gone.`
        : "It starts from the beginning: you had not done anything yet.";
  const other = gpu.now === gpu.before || gpu.now === null ? "" : ` Its GPU is ${gpu.now} now${gpu.before === null ? "" : `, not ${gpu.before}`}.`; // biome-ignore format: one line
  return `[parallel agents] Your sandbox was lost at ${clockTime(at)} (${oneLine(why.replace(/\.$/, ""), WHY_LIMIT)}), and you have a new one.${other} ${left} Every command was cut off, in the background too, and what it had not finished is not done: run again what you need. ${GO_ON}`;
}

/** Characters. */
const WHY_LIMIT = 500;

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

/** Goes before the prompt of a turn when the volumes at these paths could not show what others have committed. */
export const renderVolumesBusy = (paths: readonly string[], why: string): string =>
  `${notReloaded(paths)}: processes of yours keep files open there, or stand in a folder there (${oneLine(why, 200)}). If you need the newest state, end those processes; your next turn then has it.`;

/** Goes there instead when that failed for another reason. */
export const renderVolumesStale = (paths: readonly string[], problem: string): string =>
  `${notReloaded(paths)}, because that failed: ${oneLine(problem)}. You see their earlier state.`;

const notReloaded = (paths: readonly string[]): string =>
  `What others have committed to your volumes (${nameList(paths)}) since your last turn is not visible to you yet`;
