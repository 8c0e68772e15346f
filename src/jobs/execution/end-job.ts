import { isHeld, type Job, type Transition, transition } from "../../core/job.ts";
import { withUnfinished } from "../../core/job-notes.ts";
import type { ChildSessions } from "../../core/ports.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Failure } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { within } from "../../shared/time-limit.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import { untilWritten } from "../session/until-written.ts";
import type { Execution } from "./execution.ts";

export interface EndJobDeps {
  readonly sessions: Pick<ChildSessions, "abort">;
  readonly lifecycle: Pick<SandboxLifecycle, "park">;
  readonly clock: Clock;
  readonly log: Log;
}

export interface EndingContext {
  readonly sessionJobs: SessionJobs;
  readonly jobID: string;
  /** null for a run. */
  readonly sessionID: string | null;
  readonly execution: Execution;
}

/** Time that a stopped job keeps its slot while its sandbox is parked. */
const RESCUE_MS = 6 * 60_000;

/** How an execution changes the state of its job. */
export function createJobEnd(deps: EndJobDeps) {
  /** Moves the job of an execution, unless it was cancelled, interrupted or even woken meanwhile. */
  const move =
    ({ leaseID }: Execution, to: Transition) =>
    (job: Job) =>
      transition(job, to, deps.clock.now(), { leaseID });

  /**
   * Writes the outcome of an execution, however long that takes. Until then it keeps its job, whose state would be wrong.
   * @returns false if it was unwound meanwhile: someone else ended the job
   */
  const write = (jobID: string, { abort: { signal } }: Execution, change: () => void): Promise<boolean> =>
    untilWritten(change, deps, { jobID, isOver: () => signal.aborted, signal });

  /** Parks the sandbox before it ends the job, so that whoever learns of the job's end finds its snapshot. */
  async function rescue({ sessionJobs, jobID, sessionID, execution }: EndingContext, failure: Failure): Promise<void> {
    execution.phase = { kind: "stopping", stopFailure: failure };
    recordStop(deps.log, { sessionJobs, jobID, execution }, failure);
    if (sessionID !== null) await deps.sessions.abort(sessionID).catch(() => {}); // a late message may have started another model loop
    const ended = (job: Job) => move(execution, toFailed(execution, withFilesNamed(failure, job)))(job);
    const parking = deps.lifecycle.park(sessionJobs, jobID, ended);
    const limit = { clock: deps.clock, limitMs: RESCUE_MS, doing: "Freezing and ending its sandbox" };
    await within(parking, limit).catch((error: Error) => {
      deps.log("error", "could not park a stopped job's sandbox in time", { jobID, reason: error.message });
      sessionJobs.update(jobID, (job) => withUnfinished(job, "its sandbox is not frozen and ended", error));
    });
    await write(jobID, execution, () => sessionJobs.update(jobID, ended)); // if there was nothing to park, or that failed
  }

  return { move, rescue, write };
}

/** Records that the job is being stopped: whoever takes it up if OpenCode ends meanwhile fails it, as it has had its time. */
export function recordStop(
  log: Log,
  { sessionJobs, jobID, execution }: Omit<EndingContext, "sessionID">,
  stopFailure: Failure,
): void {
  try {
    sessionJobs.update(jobID, (job) =>
      isHeld(job.state) && job.state.leaseID === execution.leaseID ? { ...job, stopFailure } : job,
    );
  } catch (error) {
    log("warn", "could not record that a job is being stopped", { jobID, reason: String(error) }); // it is, all the same
  }
}

/** What the turn under way had said stays the job's result. */
export const toFailed = ({ words, turn }: Pick<Execution, "words" | "turn">, failure: Failure): Transition => ({
  kind: "failed",
  failure,
  result: words,
  turn,
});

/** A run takes no message, so what is left of it is told with its failure. */
function withFilesNamed(failure: Failure, { task, sandbox }: Job): Failure {
  if (task.run === null || sandbox.kind !== "parked") return failure;
  if (task.run.measures)
    return { ...failure, message: `${failure.message} Measure the job again with experiments_score.` };
  const message = `${failure.message} Its files are kept in the snapshot ${sandbox.snapshotID}: start another run from it.`;
  return { ...failure, message };
}
