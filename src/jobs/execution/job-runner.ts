import { commandGraceMs } from "../../core/deadline.ts";
import { isHeld } from "../../core/job.ts";
import type { LastWords } from "../../core/last-words.ts";
import type { Failure } from "../../shared/error-code.ts";
import { within } from "../../shared/time-limit.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import { recordStop } from "./end-job.ts";
import {
  createExecution,
  type Execution,
  isEnding,
  openTurnOf,
  stopperOf,
  toNotRetrying,
  toRetrying,
  toStopping,
  toWrappingUp,
} from "./execution.ts";
import { EndWithin } from "./follow-command.ts";
import { createRunJob, type RunJobDeps } from "./run-job.ts";
import { readLastWords } from "./turns.ts";

/** Runs admitted jobs and controls their executions. A failure ends its job and affects nothing else. */
export interface JobRunner {
  /** From `starting` to the job's end. Never rejects. */
  run(sessionJobs: SessionJobs, jobID: string): Promise<void>;
  /** Whether this process runs the job, or is still unwinding its execution. */
  isRunning(jobID: string): boolean;
  /** Stops the current turn; the job goes on with its next one. */
  stopTurn(jobID: string): void;
  /** What the job's turn has said so far; null if the job is not running here. Of a run, its numbers so far are kept. */
  lastWords(jobID: string): LastWords | null;
  /** What a turn had said that an ended process left, read from its session; null where there is none. Never rejects. */
  readLastWords(sessionJobs: SessionJobs, jobID: string): Promise<LastWords | null>;
  /**
   * Unwinds the execution of a job that was ended by someone else; resolves when that is done, with what its turn said. No-op if
   * the job is not running.
   * @param time that the command of a run has to end: what is kept for a rescue ("long"), a moment, or none
   */
  stop(jobID: string, time?: "long" | "none"): Promise<LastWords | null>;
  /** What the job's deadlines depend on; null if it is not running here, or is ending. */
  progress(jobID: string): ExecutionProgress | null;
  /** Stops a turn that went silent and prompts it once more. */
  retryTurn(jobID: string): void;
  /** Tells the agent to finish. Once its turn has ended or is stopped, the job fails with `failure`. */
  wrapUp(jobID: string, text: string, failure: Failure): void;
  /**
   * Fails the job with `failure` now: its turn is stopped, its files and its last text are kept.
   * @param graceMs time that the command of a run has between SIGTERM and SIGKILL
   */
  giveUp(jobID: string, failure: Failure, graceMs: number): void;
  /** Resolves when a job that is ending has ended; immediately for any other. */
  settled(jobID: string): Promise<void>;
  /** The same also for one that was ended by someone else: until then its model is to be asked nothing more. */
  atRest(jobID: string): Promise<void>;
}

export interface ExecutionProgress {
  readonly hasTurn: boolean;
  /** The turn under way was stopped for silence before. */
  readonly isRetry: boolean;
  readonly isWrappingUp: boolean;
}

/** Longest wait for a session that is read only for its job's last words. */
const READ_MS = 6_000;

export function createJobRunner(deps: RunJobDeps): JobRunner {
  const executions = new Map<
    string,
    Readonly<{ sessionJobs: SessionJobs; execution: Execution; done: Promise<void> }>
  >();
  const runJob = createRunJob(deps);
  const executionOf = (jobID: string): Execution | undefined => executions.get(jobID)?.execution;

  return {
    run(sessionJobs, jobID) {
      const { state } = requireJob(sessionJobs, jobID);
      const execution = createExecution(isHeld(state) ? state.leaseID : null);
      const former = executions.get(jobID)?.done ?? Promise.resolve();
      const done = former
        .then(() => runJob(sessionJobs, jobID, execution))
        .catch((error) => deps.log("error", "a job's execution failed unexpectedly", { jobID, reason: String(error) }))
        .finally(() => {
          if (executionOf(jobID) === execution) executions.delete(jobID);
        });
      executions.set(jobID, { sessionJobs, execution, done });
      return done;
    },
    isRunning: (jobID) => executions.has(jobID),
    stopTurn(jobID) {
      const execution = executionOf(jobID);
      if (!execution) return;
      execution.phase = toNotRetrying(execution.phase);
      openTurnOf(execution.phase)?.abort.abort();
    },
    lastWords(jobID) {
      const execution = executionOf(jobID);
      if (execution?.phase.kind === "in_command") execution.phase.flush();
      return toLastWords(execution);
    },
    readLastWords(sessionJobs, jobID) {
      const limit = { clock: deps.clock, limitMs: READ_MS, doing: `Reading the session of ${jobID}` };
      return within(readLastWords(deps, sessionJobs, jobID), limit).catch(() => null);
    },
    async stop(jobID, time) {
      const execution = executionOf(jobID);
      const graceMs = time === "none" ? 0 : commandGraceMs(deps.limits.budget.rescueMs);
      execution?.abort.abort(time && new EndWithin(graceMs));
      await executions.get(jobID)?.done;
      return toLastWords(execution);
    },
    progress(jobID) {
      const execution = executionOf(jobID);
      if (!execution || isEnding(execution.phase) || execution.abort.signal.aborted) return null;
      const { phase } = execution;
      const turn = openTurnOf(phase);
      return {
        hasTurn: turn !== null && phase.kind !== "retrying_turn",
        isRetry: turn?.isRetry ?? false,
        isWrappingUp: "wrapUpFailure" in phase && phase.wrapUpFailure !== null,
      };
    },
    retryTurn(jobID) {
      const execution = executionOf(jobID);
      if (!execution) return;
      execution.phase = toRetrying(execution.phase);
      openTurnOf(execution.phase)?.abort.abort();
    },
    wrapUp(jobID, text, failure) {
      const execution = executionOf(jobID);
      if (!execution) return;
      const before = execution.phase;
      execution.phase = toWrappingUp(before, failure);
      const turn = openTurnOf(execution.phase);
      if (execution.phase === before || !turn) return;
      deps.sessions.tell({ ...turn.request, messageID: deps.messageIDs(), text }).catch((error) => {
        deps.log("warn", "could not tell a job to wrap up", { jobID, reason: String(error) }); // it is stopped in time
      });
    },
    giveUp(jobID, failure, graceMs) {
      const running = executions.get(jobID);
      if (!running) return;
      const { sessionJobs, execution } = running;
      const { phase } = execution;
      execution.phase = toStopping(phase, failure);
      stopperOf(phase)?.abort(new EndWithin(graceMs));
      if (phase.kind === "sandbox_lost") phase.giveUp.abort();
      if (phase.kind === "between_turns") execution.noSandbox.abort(); // if it is being made still
      if (!isEnding(phase)) recordStop(deps.log, { sessionJobs, jobID, execution }, failure);
    },
    async settled(jobID) {
      const running = executions.get(jobID);
      if (running && isEnding(running.execution.phase)) await running.done;
    },
    async atRest(jobID) {
      const running = executions.get(jobID);
      if (!running) return;
      const { phase, abort } = running.execution;
      if (isEnding(phase) || abort.signal.aborted) await running.done;
    },
  };
}

const toLastWords = (execution: Execution | undefined): LastWords | null =>
  execution ? { turn: execution.turn, result: execution.words } : null;
