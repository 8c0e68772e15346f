import { isEnded, isHeld, type Job } from "../../core/job.ts";
import { withNotes } from "../../core/job-notes.ts";
import type { Limits } from "../../core/limits.ts";
import { withMeasured } from "../../core/measured-job.ts";
import { toFailure } from "../../shared/error-code.ts";
import type { Measurements } from "../measure/measurements.ts";
import type { LocalQueue } from "../queue/local-queue.ts";
import { BackToQueue } from "../sandbox/back-to-queue.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import { beginRun, withBegun } from "./begin-run.ts";
import { createJobEnd, toFailed } from "./end-job.ts";
import type { Execution } from "./execution.ts";
import { createGoOn, watchSandbox } from "./go-on.ts";
import { recordMeasured } from "./record-measured.ts";
import { createRunAgent, type RunAgentDeps } from "./run-agent.ts";
import { type CommandContext, type CommandOutcome, type RunCommandDeps, runCommand } from "./run-command.ts";
import type { SessionActivity } from "./session-activity.ts";
import type { Workers } from "./workers.ts";

/** Runs a job from `starting` to its end, or until `execution.abort` fires; then parks its sandbox. */
export type RunJob = (sessionJobs: SessionJobs, jobID: string, execution: Execution) => Promise<void>;

export interface RunJobDeps extends RunAgentDeps, RunCommandDeps {
  readonly activity: SessionActivity;
  readonly workers: Workers;
  readonly lifecycle: SandboxLifecycle;
  readonly measurements: Pick<Measurements, "place">;
  readonly limits: Pick<Limits, "budget" | "highestRate">;
  readonly parkAfterMs: number;
  /** While jobs are queued, sandboxes of ended jobs are parked at once. */
  readonly localQueue: Pick<LocalQueue, "all">;
}

export function createRunJob(deps: RunJobDeps): RunJob {
  const goOn = createGoOn(deps);
  const runAgent = createRunAgent(deps, goOn);
  const { move, rescue, write } = createJobEnd(deps);

  /** @throws PluginError, with which the job fails */
  async function work(sessionJobs: SessionJobs, jobID: string, execution: Execution): Promise<void> {
    const { signal } = execution.abort;
    const before = requireJob(sessionJobs, jobID);
    if (before.task.run === null) return await runAgent(sessionJobs, jobID, execution);
    const making = AbortSignal.any([signal, execution.noSandbox.signal]);
    let sandbox = await deps.lifecycle.obtain(sessionJobs, jobID, making);
    watchSandbox(execution, sandbox);
    while (execution.phase.kind === "sandbox_lost" && !signal.aborted)
      sandbox = (await goOn(sessionJobs, jobID, execution)) ?? sandbox; // J4
    if (signal.aborted) return;
    await runToEnd({ sessionJobs, jobID, execution, sandbox }, before);
  }

  /**
   * Runs the command of a run, once more if its sandbox is lost, then ends the run by how the command ended, or by what
   * stopped it.
   * @param before the run as this execution found it
   */
  async function runToEnd(first: CommandContext, before: Job): Promise<void> {
    const { sessionJobs, jobID, execution } = first;
    const stopFailure = () => (execution.phase.kind === "stopping" ? execution.phase.stopFailure : null);
    let context = { ...first, sessionID: null };
    let failure = await beginRun(deps, context, before, move(execution, { kind: "running" }));
    while (!failure) {
      await placeMeasured(context);
      const outcome = await runCommand(deps, context);
      if (execution.abort.signal.aborted) return;
      failure = stopFailure();
      if (outcome && !failure) {
        const isWritten = await write(jobID, execution, () => sessionJobs.update(jobID, endRun(execution, outcome)));
        if (isWritten) await write(jobID, execution, () => recordMeasured(sessionJobs, jobID));
        return;
      }
      const sandbox = failure ? null : await goOn(sessionJobs, jobID, execution);
      if (execution.abort.signal.aborted) return;
      failure ??= stopFailure();
      if (!sandbox) continue;
      context = { ...context, sandbox };
      sessionJobs.update(jobID, (job) => withBegun(job, sandbox.id));
    }
    await rescue(context, failure);
  }

  /** Puts what a run measures into its sandbox. If that is lost meanwhile, another one gets it. */
  async function placeMeasured({ sessionJobs, jobID, execution, sandbox }: CommandContext): Promise<void> {
    if (execution.phase.kind !== "between_turns") return;
    await deps.measurements.place(sessionJobs, jobID, sandbox, execution.abort.signal).catch((error) => {
      if (execution.abort.signal.aborted || execution.phase.kind !== "between_turns") return;
      throw error;
    });
  }

  /** Its exit code, and what it measured, are written with its end. */
  const endRun =
    (execution: Execution, { failure, exitCode, result, measured, notes }: CommandOutcome) =>
    (job: Job): Job => {
      const to = failure ? toFailed({ words: result, turn: null }, failure) : { kind: "completed" as const, result };
      const ended = move(execution, to)(job);
      if (ended === job) return job;
      const at = new Date(deps.clock.now()).toISOString();
      return {
        ...withNotes(ended, notes),
        exitCode,
        metrics: measured === undefined ? ended.metrics : withMeasured(ended, measured, at),
      };
    };

  return async (sessionJobs, jobID, execution) => {
    try {
      await work(sessionJobs, jobID, execution);
    } catch (error) {
      const stopped = execution.phase.kind === "stopping" ? execution.phase.stopFailure : null;
      if (error instanceof BackToQueue && !stopped) {
        const gpuWait = error.wait;
        const back = move(execution, { kind: "queued" });
        const wait = (job: Job): Job => {
          const queued = back(job);
          return queued === job ? job : { ...queued, gpuWait };
        };
        await write(jobID, execution, () => sessionJobs.update(jobID, wait));
        return;
      }
      const failure = stopped ?? toFailure(error, "sandbox_create_failed", `run ${jobID}`);
      deps.log("warn", "a job failed", { jobID, code: failure.code, reason: failure.message });
      const failed = move(execution, toFailed(execution, failure));
      await write(jobID, execution, () => sessionJobs.update(jobID, failed));
    } finally {
      const { state, task } = requireJob(sessionJobs, jobID);
      const isTaken = isHeld(state) && state.leaseID !== execution.leaseID; // by another process, as its sandbox is
      // A run takes no messages that its sandbox would be waiting for.
      const parksAtOnce = deps.localQueue.all().length > 0 || state.kind === "cancelled" || task.run !== null;
      // One that is back in the queue may have a sandbox that could only not be reached.
      if (state.kind !== "queued" && !isTaken)
        deps.lifecycle.parkLater(sessionJobs, jobID, parksAtOnce ? 0 : deps.parkAfterMs);
      // Last, because a full disk may refuse it: a turn that was to be resumed never will be.
      if (isEnded(state)) sessionJobs.stopRunningTurns(jobID);
    }
  };
}
