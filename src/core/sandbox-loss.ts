import type { Failure } from "../shared/error-code.ts";
import type { JobTask } from "./job-task.ts";

/** A sandbox of a job that ended by itself, and what was left of its files. */
export interface SandboxLoss {
  /** When it was noticed, epoch ms. */
  readonly at: number;
  /** One sentence. */
  readonly why: string;
  /** null until it is known. */
  readonly files: LeftFiles | null;
}

export type LeftFiles =
  /** Those of its last moment. */
  | { readonly kind: "last"; readonly snapshotID: string }
  /** Those of an earlier snapshot. `takenAt`: epoch ms. */
  | { readonly kind: "snapshot"; readonly snapshotID: string; readonly takenAt: number }
  | { readonly kind: "none" };

/** Of a task, that no message can wake its job: it is a run. */
type Wakes = Pick<JobTask, "run">;

/** How often a job is tried: once more after it has lost its sandbox. A message that wakes it begins anew. */
export const MOST_ATTEMPTS = 2;

export type AfterLoss = { readonly kind: "go_on" } | { readonly kind: "fail"; readonly failure: Failure };

/**
 * Whether a job goes on by itself after the loss of its sandbox.
 * @param attempts how often the job has been tried, this time included
 * @param hasBegun whether its agent was prompted: if not, it can start from the beginning
 * @param outOfBudget the failure if the budget has no room for another sandbox; null = it has
 */
export function decideAfterLoss(
  loss: SandboxLoss,
  failure: Failure,
  facts: { readonly attempts: number; readonly hasBegun: boolean; readonly outOfBudget: Failure | null },
  task: Wakes,
): AfterLoss {
  const fail = (why: string, retryable: boolean | null, code = failure.code): AfterLoss => ({
    kind: "fail",
    failure: { code, message: `${asSentence(failure.message)} ${why}${describeLeft(loss, task)}`, retryable },
  });
  if (failure.retryable === false) return fail("", false);
  if (facts.attempts >= MOST_ATTEMPTS)
    return fail("It had lost one before and had gone on by itself, which it does only once. ", true);
  if (facts.outOfBudget) {
    const { code, message } = facts.outOfBudget;
    return fail(`It does not go on by itself: ${message} `, false, code);
  }
  if (loss.files?.kind === "none" && facts.hasBegun) return fail("So it cannot go on by itself. ", false);
  return { kind: "go_on" };
}

/** Why a job that was to go on has failed. */
export const notGoneOn = (loss: SandboxLoss, why: string, task: Wakes): string =>
  `${asSentence(why)} This was for the sandbox to go on in after the loss of the one before. ${describeLeft(loss, task)}`;

function describeLeft({ files }: SandboxLoss, { run }: Wakes): string {
  const use = run?.measures
    ? "measure the job again."
    : run
      ? "start another run from it."
      : "wake the job with agents_message, or start a new task from it.";
  if (files === null || files.kind === "none")
    return "None of its files are left: there was no snapshot and no checkpoint. Start a new job.";
  return files.kind === "last"
    ? `Its files of that moment are kept in the snapshot ${files.snapshotID}: ${use}`
    : `Its newest files are in the snapshot ${files.snapshotID} of ${clockTime(files.takenAt)}: ${use}`;
}

const asSentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

/** "12:03 UTC". */
export const clockTime = (at: number): string => `${new Date(at).toISOString().slice(11, 16)} UTC`;

/** Which files it was, after "from" or "are". */
export const describeFiles = (files: LeftFiles | null): string =>
  files?.kind === "last"
    ? "its files of that moment"
    : files?.kind === "snapshot"
      ? `its files as they were at ${clockTime(files.takenAt)}, in its newest snapshot`
      : "the beginning";

/** The note on a job whose sandbox was lost. */
export const lossNote = (loss: SandboxLoss, task: Wakes): string =>
  `Its sandbox was lost at ${clockTime(loss.at)}: ${asSentence(loss.why)} ${describeLeft(loss, task)}`;

/** The note in place of it once the job has gone on by itself. */
export const wentOnNote = (loss: SandboxLoss, { run }: Wakes): string =>
  `Its sandbox was lost at ${clockTime(loss.at)}, and it ${run ? "began again" : "went on"} by itself from ${describeFiles(loss.files)}. What was known: ${asSentence(loss.why)}`;

export const isNoteOf = (loss: SandboxLoss, note: string, task: Wakes): boolean =>
  note === lossNote(loss, task) || note === wentOnNote(loss, task);

/** What such a job waits for. */
export const lossReason = (loss: SandboxLoss): string =>
  `its sandbox was lost at ${clockTime(loss.at)}; it goes on ${loss.files === null ? "once its last files are there" : "in a new one"}`;
