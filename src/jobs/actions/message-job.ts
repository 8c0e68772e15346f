import { closedError } from "../../core/closed-session.ts";
import { isEnded, type Job, transition } from "../../core/job.ts";
import type { ChildSessions } from "../../core/ports.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import type { JobRunner } from "../execution/job-runner.ts";
import type { Scheduler } from "../execution/scheduler.ts";
import { type Drift, driftOf } from "../project/drift.ts";
import type { ProjectTrees } from "../project/trees.ts";
import { findJob } from "../session/find-jobs.ts";
import type { SessionOpener } from "../session/session-jobs.ts";

export interface MessageDeps extends SessionOpener {
  readonly trees: ProjectTrees;
  readonly runner: Pick<JobRunner, "settled" | "stopTurn">;
  readonly scheduler: Pick<Scheduler, "enqueue">;
  readonly sessions: Pick<ChildSessions, "closed">;
  readonly clock: Clock;
  readonly log: Log;
}

export interface MessageRequest {
  readonly job: string;
  readonly message: string;
  /** Stops the current turn first. */
  readonly interrupt: boolean;
  /** Updates the job's files to the project as it is now before that turn. */
  readonly update?: boolean;
}

export interface Messaged {
  readonly job: Job;
  /** How the project differs from the files the job started from; null = it does not, or the comparison failed. */
  readonly drift: Drift | null;
}

/**
 * Gives a job its next turn. A queued or running job takes it after its earlier turns. An ended or interrupted job goes
 * back to the queue and wakes up in its own session, with its files.
 * @throws PluginError `not_found`; `invalid_task` for a run, for a refused task, or when the job has no files of the project to
 * update; `workspace_failed`; `cancelled` when the job was cancelled meanwhile; `prompt_failed` where the job's own session is closed
 */
export async function messageJob(deps: MessageDeps, orchestrator: string, request: MessageRequest): Promise<Messaged> {
  const sessionJobs = await deps.sessionJobs(orchestrator);
  const asked = findJob(sessionJobs, request.job);
  refuseRun(asked);
  const drift = await driftOf(deps, findJob(sessionJobs, request.job), request.update === true);
  await refuseClosed(deps, findJob(sessionJobs, request.job));
  await deps.runner.settled(request.job); // a job that is being stopped must have its snapshot before it wakes up
  const job = findJob(sessionJobs, request.job);
  if (job.state.kind === "failed" && job.state.failure.code === "invalid_task") {
    const message = `${job.id} never started (${job.state.failure.message}) Start it again with agents_start.`;
    throw new PluginError("invalid_task", message, { retryable: false });
  }
  const { state } = job;
  if (state.kind === "cancelled" && !isEnded(asked.state)) throw overtaken(job);
  if (isEnded(state)) sessionJobs.stopRunningTurns(job.id); // a turn that the job's end cut short is over
  sessionJobs.addTurn(job.id, request.message, request.update ? drift?.now : null);
  if (isEnded(state) || state.kind === "interrupted") {
    sessionJobs.update(job.id, (current) => transition(current, { kind: "queued" }, deps.clock.now()));
    deps.scheduler.enqueue(sessionJobs.whole, job.id);
  } else if (request.interrupt) {
    deps.runner.stopTurn(job.id);
  }
  return { job: findJob(sessionJobs, job.id), drift };
}

function refuseRun({ id, task }: Job): void {
  if (task.run === null) return;
  const message = `${id} is a run, a command without a model, and takes no messages. Start another run with from: "${id}", which begins with its newest files.`;
  throw new PluginError("invalid_task", message, { retryable: false });
}

/** Whoever cancels a job after a message wants it to stop: the message must not wake it because it took longer. */
function overtaken({ id }: Job): PluginError {
  const message = `${id} was cancelled before it got the message. Send it again to have the job go on.`;
  return new PluginError("cancelled", message, { retryable: true });
}

/** A session that cannot be read is no reason to refuse: the turn itself finds out why. */
async function refuseClosed({ sessions }: MessageDeps, { childSession }: Job): Promise<void> {
  const why = childSession === null ? null : await sessions.closed(childSession).catch(() => null);
  if (childSession !== null && why) throw closedError(childSession, why);
}
