import { isEnded, isHeld, type Job, transition } from "../../core/job.ts";
import { withFinished, withUnfinished } from "../../core/job-notes.ts";
import { withLastWords } from "../../core/last-words.ts";
import type { Stopped } from "../../core/run-task.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { DeadlineError, within } from "../../shared/time-limit.ts";
import type { JobRunner } from "../execution/job-runner.ts";
import type { Scheduler } from "../execution/scheduler.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import { findJobs } from "../session/find-jobs.ts";
import { requireJob, type SessionJobs, type SessionOpener } from "../session/session-jobs.ts";
import type { LeaseStore } from "../store/lease-store.ts";
import { LEASE_RENEW_MS } from "../store/lease-store.ts";

export interface CancelDeps extends SessionOpener {
  readonly scheduler: Pick<Scheduler, "remove">;
  readonly runner: Pick<JobRunner, "isRunning" | "lastWords" | "readLastWords" | "stop">;
  readonly lifecycle: Pick<SandboxLifecycle, "park">;
  readonly pool: Pick<LeaseStore, "isLeaseAlive" | "askToCancel">;
  readonly clock: Clock;
}

const POLL_MS = 250;
/** A process reads requests with every renewal of its leases, and then has a model and commands to stop. */
const ANSWER_MS = 4 * LEASE_RENEW_MS;

/** Longest wait of a cancel for the command of a run, which may save its work before it ends. */
const COMMAND_WAIT_MS = 5_000;
/** Longest wait of a cancel for the sandbox to be parked. After it the call returns, and parking goes on. */
const PARK_WAIT_MS = 90_000;

/**
 * Ends jobs now: the state first, then the model's turn, whose words stay the job's result, the sandbox (its files are
 * kept in a snapshot) and the lease.
 * Ended jobs are left as they are. A job that another process of the session runs is cancelled by that process.
 * @throws PluginError `not_found` when an id is no job of this session, and then cancels none; `cancelled`, retryable, when
 * the other process does not answer
 */
export async function cancelJobs(
  deps: CancelDeps,
  orchestrator: string,
  ids: readonly string[],
  reason: string | null,
): Promise<Job[]> {
  const sessionJobs = await deps.sessionJobs(orchestrator);
  const jobs = findJobs(sessionJobs, ids);
  await Promise.all(
    jobs.map(async ({ id }) => {
      if (!(await cancelInOtherProcess(deps, sessionJobs, id, reason))) await endJob(deps, sessionJobs, id, { reason });
    }),
  );
  return findJobs(sessionJobs, ids);
}

/**
 * Ends a job that no other process runs. Its state is written before this returns.
 * @param stopped how it lost, if early stopping ends it
 */
export async function endJob(
  deps: Omit<CancelDeps, "pool" | "sessionJobs">,
  sessionJobs: SessionJobs,
  id: string,
  { reason, stopped = null }: { readonly reason: string | null; readonly stopped?: Stopped | null },
): Promise<void> {
  const isOpen = !isEnded(requireJob(sessionJobs, id).state);
  const words = deps.runner.lastWords(id);
  const cancel = (job: Job): Job => {
    const cancelled = transition(job, { kind: "cancelled", reason, ...words }, deps.clock.now());
    return cancelled === job || !stopped ? cancelled : { ...cancelled, stopped };
  };
  const { since } = sessionJobs.update(id, cancel).state;
  deps.scheduler.remove(id);
  // A turn that an ended process left will not be resumed.
  const left = isOpen && !words?.turn ? await deps.runner.readLastWords(sessionJobs, id) : null;
  if (!deps.runner.isRunning(id)) sessionJobs.stopRunningTurns(id);
  const stopping = deps.runner.stop(id, stopped ? "none" : "long");
  const unwinding = stopping.then((said) => {
    const spoken = said?.turn || said?.result ? said : left;
    sessionJobs.update(id, (job) => withLastWords(withFinished(job), since, spoken));
    return deps.lifecycle.park(sessionJobs, id);
  });
  const limit = { clock: deps.clock, limitMs: PARK_WAIT_MS, doing: "Freezing and ending its sandbox" };
  const parking = within(unwinding, limit).catch((error: Error) => {
    sessionJobs.update(id, (job) => withUnfinished(job, "its sandbox is not frozen and ended", error));
  });
  const { run } = requireJob(sessionJobs, id).task;
  if (run === null) return await parking;
  const hasEnded = { clock: deps.clock, limitMs: COMMAND_WAIT_MS, doing: "Ending its command" };
  if (await within(stopping, hasEnded).then(() => true, (error) => !(error instanceof DeadlineError))) return await parking; // biome-ignore format: one line
  sessionJobs.update(id, (job) => {
    const told = withLastWords(job, since, deps.runner.lastWords(id));
    return withUnfinished(told, "its command has not ended", STILL_ENDING);
  });
  void parking.catch(() => {}); // OpenCode is ending: its next process parks the sandbox
}

const STILL_ENDING = "it got SIGTERM and has a moment to save its work; then it is killed, and its files are kept";

/** Asks the process that runs the job to cancel it. @returns whether another process ran the job and has ended it */
async function cancelInOtherProcess(
  deps: CancelDeps,
  sessionJobs: SessionJobs,
  jobID: string,
  reason: string | null,
): Promise<boolean> {
  const leaseOfOtherProcess = (): string | null => {
    if (deps.runner.isRunning(jobID)) return null;
    const { state } = sessionJobs.reload(jobID);
    return isHeld(state) && deps.pool.isLeaseAlive(state.leaseID, deps.clock.now()) ? state.leaseID : null;
  };
  const asked = leaseOfOtherProcess();
  if (asked === null) return false;
  deps.pool.askToCancel(asked, reason);
  const until = deps.clock.now() + ANSWER_MS;
  while (leaseOfOtherProcess() === asked) {
    if (deps.clock.now() >= until)
      throw new PluginError(
        "cancelled",
        `${jobID} runs in another OpenCode process, which did not answer in ${ANSWER_MS / 1000} s. It is asked to cancel the job; look at agents_status, or call agents_cancel again.`,
        { retryable: true },
      );
    await new Promise<void>((resolve) => deps.clock.after(POLL_MS, resolve));
  }
  return isEnded(sessionJobs.reload(jobID).state);
}
