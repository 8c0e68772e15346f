import { isEnded, type Job } from "../../core/job.ts";
import { JOB_ENDED, JOB_STOPPED, runsOf } from "../../core/nested-runs.ts";
import type { Log } from "../../shared/log.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { SessionRegistry } from "../session/session-registry.ts";
import { type CancelDeps, cancelJobs } from "./cancel-jobs.ts";

export interface EndNestedRunsDeps extends CancelDeps {
  readonly registry: Pick<SessionRegistry, "onChange" | "onOpen">;
  readonly log: Log;
}

/**
 * Cancels the runs that a job's agent has started when that job ends or begins to be stopped, and those that a former process
 * left open. Keeping a stopped job's files takes minutes, in which its runs would spend what the job does not have.
 */
export function endRunsWithTheirJobs(deps: EndNestedRunsDeps): void {
  function cancel({ orchestrator }: SessionJobs, runs: readonly Job[], reason: string): void {
    const open = runs.filter(({ state }) => !isEnded(state)).map(({ id }) => id);
    if (open.length === 0) return;
    cancelJobs(deps, orchestrator, open, reason).catch((error) =>
      deps.log("error", "could not cancel the runs of a job that ends", { runs: open, reason: String(error) }),
    );
  }
  deps.registry.onChange(({ sessionJobs, before, job }) => {
    if (job.task.run !== null || !before) return;
    const hasEnded = !isEnded(before.state) && isEnded(job.state);
    const isStopped = before.stopFailure == null && job.stopFailure != null;
    if (hasEnded || isStopped)
      cancel(sessionJobs, runsOf(sessionJobs.all(), job.id), hasEnded ? JOB_ENDED : JOB_STOPPED);
  });
  deps.registry.onOpen((sessionJobs) => {
    const isLeft = ({ startedBy }: Job) => {
      const starter = startedBy === null ? undefined : sessionJobs.get(startedBy);
      return starter !== undefined && isEnded(starter.state);
    };
    cancel(sessionJobs, sessionJobs.all().filter(isLeft), JOB_ENDED);
  });
}
