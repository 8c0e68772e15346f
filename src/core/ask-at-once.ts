import { gpusOf } from "../config/gpu.ts";
import type { CreationStep } from "../sandboxes/creation-steps.ts";
import type { Job } from "./job.ts";

/**
 * Whether the model of a job that starts may be asked while its sandbox is being made. It is asked once that is there where
 * the job may wait for minutes before it costs anything, and where what the agent is told depends on the sandbox.
 * @param turn the one that comes first
 */
export function mayAskAtOnce(
  { task, sandbox, loss }: Job,
  turn: { readonly wasPrompted: boolean; readonly updatesFiles: boolean },
): boolean {
  if (task.run !== null || gpusOf(task.gpu).length > 0) return false;
  // It is there, or lost: what has become of its files is told with the prompt.
  if (sandbox.kind === "live" || sandbox.kind === "gone" || loss !== null) return false;
  if (turn.wasPrompted || turn.updatesFiles) return false;
  // Its system text names the snapshot, which is being taken.
  return task.snapshotID !== null || (task.source?.kind !== "sandbox" && task.source?.kind !== "job");
}

/** Whether a creation is known to wait for something that takes minutes: an image, a limit of the account, a machine. */
export const waitsLong = (step: CreationStep | null): boolean =>
  step !== null && step.kind !== "booting" && step.kind !== "turn";
