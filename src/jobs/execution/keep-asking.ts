import type { Sandbox } from "../../sandboxes/port.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import { BackToQueue } from "../sandbox/back-to-queue.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import type { SessionJobs } from "../session/session-jobs.ts";

export interface KeepAskingDeps {
  readonly lifecycle: Pick<SandboxLifecycle, "obtain">;
  readonly clock: Clock;
}

/**
 * A job that has begun keeps its slot while it waits for its provider, and asks again where another one would go back to the
 * queue.
 * @param first what it has asked for already
 * @throws what obtaining a sandbox throws
 */
export async function keepAsking(
  { lifecycle, clock }: KeepAskingDeps,
  sessionJobs: SessionJobs,
  jobID: string,
  signal: AbortSignal,
  first: Promise<Sandbox>,
): Promise<Sandbox> {
  for (let obtaining = first; ; obtaining = lifecycle.obtain(sessionJobs, jobID, signal)) {
    try {
      return await obtaining;
    } catch (error) {
      if (!(error instanceof BackToQueue) || signal.aborted) throw error;
      const gpuWait = error.wait;
      sessionJobs.update(jobID, (job) => ({ ...job, gpuWait }));
      await sleep(clock, (gpuWait.retryAt ?? 0) - clock.now(), signal);
    }
  }
}
