import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { isEnded, type Job, transition } from "../core/job.ts";
import type { JobRunner } from "../execution/job-runner.ts";
import type { Scheduler } from "../execution/scheduler.ts";
import { type Drift, driftOf } from "../project/drift.ts";
import type { ProjectTrees } from "../project/trees.ts";
import { findJob } from "../session/find-jobs.ts";
import type { SessionJobs } from "../session/session-jobs.ts";

export interface MessageDeps {
  /** Opens the jobs of a session. */
  sessionJobs(orchestrator: string): Promise<SessionJobs>;
  readonly trees: ProjectTrees;
  readonly runner: Pick<JobRunner, "settled" | "stopTurn">;
  readonly scheduler: Pick<Scheduler, "enqueue">;
  readonly clock: Clock;
  readonly log: Log;
}

export interface MessageRequest {
  readonly job: string;
  readonly message: string;
  /** Stops the current turn first. */
  readonly interrupt: boolean;
  /** Brings its files up to date with the project before that turn. */
  readonly update?: boolean;
}

export interface Messaged {
  readonly job: Job;
  /** How the project differs from the files the job started from; null = not at all, or that is not known. */
  readonly drift: Drift | null;
}

/**
 * Gives a job its next turn. A queued or running job gets it in order; an ended or interrupted one goes back to the
 * queue and wakes up in its own session, with its files.
 * @throws PluginError `not_found`; `invalid_task` for a job that never was one, or has no files of the project to update;
 * `workspace_failed`
 */
export async function messageJob(deps: MessageDeps, orchestrator: string, request: MessageRequest): Promise<Messaged> {
  const sessionJobs = await deps.sessionJobs(orchestrator);
  const drift = await driftOf(deps, findJob(sessionJobs, request.job), request.update === true);
  await deps.runner.settled(request.job); // one that is being stopped wakes up from its snapshot
  const job = findJob(sessionJobs, request.job);
  if (job.state.kind === "failed" && job.state.failure.code === "invalid_task") {
    const message = `${job.id} never started (${job.state.failure.message}) Start it again with agents_start.`;
    throw new PluginError("invalid_task", message, { retryable: false });
  }
  const { state } = job;
  if (isEnded(state)) sessionJobs.stopRunningTurns(job.id); // one that its end cut short is over
  sessionJobs.addTurn(job.id, request.message, request.update ? drift?.now : null);
  if (isEnded(state) || state.kind === "interrupted") {
    sessionJobs.update(job.id, (current) => transition(current, { kind: "queued" }, deps.clock.now()));
    deps.scheduler.enqueue(sessionJobs, job.id);
  } else if (request.interrupt) {
    deps.runner.stopTurn(job.id);
  }
  return { job: findJob(sessionJobs, job.id), drift };
}
