import { type GpuWait, isWaitOver, waitedSince } from "../../core/gpu-wait.ts";
import type { Job } from "../../core/job.ts";
import type { Limits } from "../../core/limits.ts";
import { isUnreachable } from "../../sandboxes/unreachable.ts";
import { type ErrorCode, PluginError } from "../../shared/error-code.ts";

/** The job cannot have its sandbox now, and may still wait: it goes back to the queue and asks again. */
export class BackToQueue extends PluginError {
  readonly wait: GpuWait;

  constructor(code: ErrorCode, message: string, wait: GpuWait, cause: unknown) {
    super(code, message, { cause, retryable: true });
    this.wait = wait;
  }
}

/**
 * What becomes of a job that has no sandbox because its provider could not be reached: it waits until it can, as long as for
 * a GPU, because the network that comes back soon must not cost a whole queue.
 */
export function unlessAway(error: unknown, job: Job, limits: Pick<Limits, "gpuWait">, now: number): unknown {
  if (!(error instanceof PluginError) || error instanceof BackToQueue || !isUnreachable(error)) return error;
  const since = waitedSince(job.gpuWait, true, now);
  if (isWaitOver(since, limits.gpuWait, now)) return error;
  const wait = { since, retryAt: now + limits.gpuWait.pauseMs, isUnreachable: true };
  return new BackToQueue(error.code, error.message, wait, error);
}
