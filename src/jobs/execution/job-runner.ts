import { within } from "../../shared/deadline.ts";
import { type Failure, PluginError, toFailure } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { unlessAborted } from "../../shared/unless-aborted.ts";
import { isEnded, isHeld, type Job, type Transition, transition, withUnfinished } from "../core/job.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import type { TurnEnd } from "./turn-runner.ts";
import { createJobTurns, type JobTurnsDeps, type Run } from "./turns.ts";

/** Runs admitted jobs: sandbox, child session, turns, end. A failure becomes the job's end and touches nothing else. */
export interface JobRunner {
  /** From `starting` to the job's end. Never rejects. */
  run(sessionJobs: SessionJobs, jobID: string): Promise<void>;
  /** Whether this process runs it, or still unwinds its run. */
  isRunning(jobID: string): boolean;
  /** Stops the current turn; the job goes on with its next one. */
  stopTurn(jobID: string): void;
  /** Unwinds a run whose job was ended by someone else; resolves when it is done. A job that does not run is no error. */
  stop(jobID: string): Promise<void>;
  /** What the job's deadlines depend on; null when it does not run, or is coming to its end. */
  progress(jobID: string): RunProgress | null;
  /** Stops a turn that went silent and prompts it once more. */
  retryTurn(jobID: string): void;
  /** Tells the agent to come to an end; when its turn has ended, or is stopped, the job fails with `failure`. */
  wrapUp(jobID: string, text: string, failure: Failure): void;
  /** Ends the job with `failure` now: its turn is stopped, its files and what it said are kept. */
  giveUp(jobID: string, failure: Failure): void;
  /** Resolves when a job that is coming to its end has; at once for any other. */
  settled(jobID: string): Promise<void>;
}

export interface RunProgress {
  readonly hasTurn: boolean;
  /** The turn was stopped for silence before. */
  readonly retried: boolean;
  readonly told: boolean;
}

export interface JobRunnerDeps extends JobTurnsDeps {
  readonly lifecycle: SandboxLifecycle;
  readonly log: Log;
  readonly parkAfterMs: number;
  /** Queued jobs want room: park at once instead of lingering. */
  readonly hasQueuedJobs: () => boolean;
  /** A child session now belongs to a job: its tool calls may find the sandbox. */
  readonly onChildSession: (sessionID: string, sessionJobs: SessionJobs, jobID: string) => void;
}

/** A job that has ended holds its slot no longer than this for its sandbox's sake. */
const RESCUE_MS = 6 * 60_000;

export function createJobRunner(deps: JobRunnerDeps): JobRunner {
  const runs = new Map<string, Run>();

  const { prompt, resume } = createJobTurns(deps);

  /** Moves the job of a run; not one that was cancelled, interrupted or even woken meanwhile. */
  const move =
    ({ leaseID }: Run, to: Transition) =>
    (job: Job) =>
      transition(job, to, deps.clock.now(), { leaseID });

  async function work(sessionJobs: SessionJobs, jobID: string, run: Run): Promise<void> {
    const { signal } = run.whole;
    const former = requireJob(sessionJobs, jobID).sandbox;
    const sandbox = await deps.lifecycle.obtain(sessionJobs, jobID, signal);
    let lost = null as Failure | null;
    void sandbox.ended.then((failure) => {
      lost = failure;
      run.turn?.abort();
    });
    const sessionID = await openSession(sessionJobs, jobID, signal);
    if (signal.aborted) return;
    if (lost) throw new PluginError(lost.code, lost.message, { retryable: lost.retryable });
    sessionJobs.update(jobID, move(run, { kind: "running" }));
    let outcome: TurnEnd = { kind: "stopped" };
    const left = sessionJobs.openTurn(jobID);
    if (left?.messageID) {
      const isInPlace = former.kind === "live" && former.id === sandbox.id;
      outcome = await resume(sessionJobs, jobID, { ...left, messageID: left.messageID }, { sessionID, isInPlace }, run);
    }
    const goesOn = () => !lost && !signal.aborted && !run.told && !run.cause;
    for (let turn = sessionJobs.nextTurn(jobID); turn && goesOn(); turn = sessionJobs.nextTurn(jobID)) {
      run.retried = false;
      const preface = await unlessAborted(
        deps.prepare(sessionJobs, jobID, turn, signal),
        signal,
        "its files were brought up to date",
      );
      if (!goesOn()) break;
      outcome = await prompt(sessionJobs, jobID, turn, preface + turn.text, sessionID, run);
    }
    if (signal.aborted) return;
    const cause = lost ?? run.cause ?? run.told;
    if (cause && cause !== lost) {
      await rescue(sessionJobs, jobID, run, sessionID, cause);
      return;
    }
    // From here to the update below nothing is awaited: a follow-up is either seen above or wakes the ended job.
    sessionJobs.update(jobID, move(run, lost ? { kind: "failed", failure: lost } : toEnd(outcome)));
  }

  /** Gives the sandbox up first, so that whoever hears of the job's end finds its snapshot. */
  async function rescue(
    sessionJobs: SessionJobs,
    jobID: string,
    run: Run,
    sessionID: string,
    cause: Failure,
  ): Promise<void> {
    run.cause ??= cause;
    await deps.sessions.abort(sessionID).catch(() => {}); // a late word to it may have started another loop
    const ended = move(run, { kind: "failed", failure: cause, result: run.said });
    const parking = deps.lifecycle.park(sessionJobs, jobID, ended);
    const limit = { clock: deps.clock, limitMs: RESCUE_MS, doing: "Freezing and ending its sandbox" };
    await within(parking, limit).catch((error: Error) => {
      deps.log("error", "a job's sandbox does not let itself be given up", { jobID, reason: error.message });
      sessionJobs.update(jobID, (job) => withUnfinished(job, "its sandbox is not given up", error));
    });
    sessionJobs.update(jobID, ended); // where there was nothing to park, or it does not end
  }

  async function openSession(sessionJobs: SessionJobs, jobID: string, signal: AbortSignal): Promise<string> {
    const job = requireJob(sessionJobs, jobID);
    let sessionID = job.childSession;
    if (sessionID === null && !signal.aborted) {
      const { agent, description, forbidden } = job.task;
      const title = `${description} (@${agent} subagent)`;
      sessionID = await deps.sessions.create({ orchestrator: job.orchestrator, jobID, title, agent, forbidden });
      sessionJobs.update(jobID, (current) => ({ ...current, childSession: sessionID }));
    }
    if (sessionID === null) throw new PluginError("cancelled", "The job was stopped before it had a session.");
    deps.onChildSession(sessionID, sessionJobs, jobID);
    return sessionID;
  }

  async function runJob(sessionJobs: SessionJobs, jobID: string, run: Run): Promise<void> {
    try {
      await work(sessionJobs, jobID, run);
    } catch (error) {
      const failure = toFailure(error, "sandbox_create_failed", `run ${jobID}`);
      deps.log("warn", "a job failed", { jobID, code: failure.code, reason: failure.message });
      sessionJobs.update(jobID, move(run, { kind: "failed", failure }));
      // A turn that was to be taken up again never will be.
      if (isEnded(requireJob(sessionJobs, jobID).state)) sessionJobs.stopRunningTurns(jobID);
    } finally {
      if (runs.get(jobID) === run) runs.delete(jobID);
      const lingerMs =
        deps.hasQueuedJobs() || requireJob(sessionJobs, jobID).state.kind === "cancelled" ? 0 : deps.parkAfterMs;
      deps.lifecycle.parkLater(sessionJobs, jobID, lingerMs);
    }
  }

  return {
    run(sessionJobs, jobID) {
      const { state } = requireJob(sessionJobs, jobID);
      const leaseID = isHeld(state) ? state.leaseID : null;
      const former = runs.get(jobID)?.done ?? Promise.resolve();
      const run: Run = {
        leaseID,
        whole: new AbortController(),
        turn: null,
        done: former,
        request: null,
        retrying: false,
        retried: false,
        told: null,
        cause: null,
        said: "",
      };
      runs.set(jobID, run);
      run.done = former
        .then(() => runJob(sessionJobs, jobID, run))
        .catch((error) => {
          deps.log("error", "a job's run broke", { jobID, reason: String(error) });
        });
      return run.done;
    },
    isRunning: (jobID) => runs.has(jobID),
    stopTurn(jobID) {
      const run = runs.get(jobID);
      if (run) run.retrying = false;
      run?.turn?.abort();
    },
    async stop(jobID) {
      const run = runs.get(jobID);
      run?.whole.abort();
      await run?.done;
    },
    progress(jobID) {
      const run = runs.get(jobID);
      if (!run || run.cause || run.whole.signal.aborted) return null;
      return { hasTurn: run.turn !== null && !run.retrying, retried: run.retried, told: run.told !== null };
    },
    retryTurn(jobID) {
      const run = runs.get(jobID);
      if (!run?.turn) return;
      run.retrying = true;
      run.turn.abort();
    },
    wrapUp(jobID, text, failure) {
      const run = runs.get(jobID);
      if (!run || run.told || run.cause) return;
      run.told = failure;
      if (!run.turn || !run.request) return;
      deps.sessions.tell({ ...run.request, messageID: deps.messageIDs(), text }).catch((error) => {
        deps.log("warn", "could not tell a job to wrap up", { jobID, reason: String(error) }); // it is stopped in time
      });
    },
    giveUp(jobID, failure) {
      const run = runs.get(jobID);
      if (!run || run.cause) return;
      run.cause = failure;
      run.turn?.abort();
    },
    async settled(jobID) {
      const run = runs.get(jobID);
      if (run?.cause) await run.done;
    },
  };
}

function toEnd(turn: TurnEnd): Transition {
  if (turn.kind === "failed") return { kind: "failed", failure: turn.failure };
  if (turn.kind === "stopped") {
    const failure: Failure = { code: "cancelled", message: "Its last turn was stopped.", retryable: true };
    return { kind: "failed", failure };
  }
  const mark = turn.cut ? "\n[The answer was cut off at the model's output limit.]" : "";
  return { kind: "completed", result: turn.text + mark };
}
