import { within } from "../../shared/deadline.ts";
import { type Failure, PluginError, toFailure } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { complete, fail, isEnded, isHeld, type Job, run, withUnfinished } from "../core/job.ts";
import { type JobBook, requireJob } from "../session/session-jobs.ts";
import { createJobTurns, type JobTurnsDeps, type Run } from "./turns.ts";
import type { SandboxKeeper } from "../sandbox/lifecycle.ts";
import type { TurnEnd } from "./turn-runner.ts";
import { unlessAborted } from "../../shared/unless-aborted.ts";

/** Runs admitted jobs: sandbox, child session, turns, end. A failure becomes the job's end and touches nothing else. */
export interface JobRunner {
  /** From `starting` to the job's end. Never rejects. */
  run(book: JobBook, jobID: string): Promise<void>;
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
  readonly keeper: SandboxKeeper;
  readonly log: Log;
  readonly parkAfterMs: number;
  /** Queued jobs want room: park at once instead of lingering. */
  readonly isPressed: () => boolean;
  /** A child session now belongs to a job: its tool calls may find the sandbox. */
  readonly onChildSession: (sessionID: string, book: JobBook, jobID: string) => void;
}

/** A job that has ended holds its slot no longer than this for its sandbox's sake. */
const RESCUE_MS = 6 * 60_000;

export function createJobRunner(deps: JobRunnerDeps): JobRunner {
  const runs = new Map<string, Run>();

  const { prompt, resume } = createJobTurns(deps);

  /** Ends a job unless someone was first: it was cancelled or interrupted (J3). */
  function end(book: JobBook, jobID: string, { leaseID }: Run, outcome: Failure | string): void {
    book.update(jobID, (job) => {
      if (!isHeld(job.state) || job.state.leaseID !== leaseID) return job;
      if (typeof outcome !== "string") return { ...job, state: fail(job.state, outcome, deps.clock.now()) };
      if (job.state.kind !== "running") return job;
      return { ...job, state: complete(job.state, outcome, deps.clock.now()) };
    });
  }

  async function work(book: JobBook, jobID: string, run_: Run): Promise<void> {
    const { signal } = run_.whole;
    const former = requireJob(book, jobID).sandbox;
    const sandbox = await deps.keeper.obtain(book, jobID, signal);
    const sessionID = await openSession(book, jobID, signal);
    if (signal.aborted) return;
    book.update(jobID, (job) =>
      job.state.kind === "starting" ? { ...job, state: run(job.state, deps.clock.now()) } : job,
    );
    let outcome: TurnEnd = { kind: "stopped" };
    let lost: Failure | null = null;
    void sandbox.ended.then((failure) => {
      lost = failure;
      run_.turn?.abort();
    });
    const left = book.openTurn(jobID);
    if (left?.messageID) {
      const isInPlace = former.kind === "live" && former.id === sandbox.id;
      outcome = await resume(book, jobID, { ...left, messageID: left.messageID }, { sessionID, isInPlace }, run_);
    }
    const goesOn = () => !lost && !signal.aborted && !run_.told && !run_.cause;
    for (let turn = book.nextTurn(jobID); turn && goesOn(); turn = book.nextTurn(jobID)) {
      run_.retried = false;
      const preface = await unlessAborted(
        deps.prepare(book, jobID, turn, signal),
        signal,
        "its files were brought up to date",
      );
      if (!goesOn()) break;
      outcome = await prompt(book, jobID, turn, preface + turn.text, sessionID, run_);
    }
    if (signal.aborted) return;
    const cause = lost ?? run_.cause ?? run_.told;
    if (cause && cause !== lost) {
      await rescue(book, jobID, run_, sessionID, cause);
      return;
    }
    // From here to the end of `end` nothing is awaited: a follow-up is either seen above or wakes the ended job.
    if (lost) end(book, jobID, run_, lost);
    else if (outcome.kind === "failed") end(book, jobID, run_, outcome.failure);
    else if (outcome.kind === "done") end(book, jobID, run_, toResult(outcome));
    else end(book, jobID, run_, { code: "cancelled", message: "Its last turn was stopped.", retryable: true });
  }

  /** Gives the sandbox up first, so that whoever hears of the job's end finds its snapshot. */
  async function rescue(book: JobBook, jobID: string, run_: Run, sessionID: string, cause: Failure): Promise<void> {
    run_.cause ??= cause;
    await deps.sessions.abort(sessionID).catch(() => {}); // a late word to it may have started another loop
    const ended = (job: Job): Job => {
      if (!isHeld(job.state) || job.state.leaseID !== run_.leaseID) return job;
      return { ...job, state: fail(job.state, cause, deps.clock.now(), run_.said) };
    };
    const parking = deps.keeper.park(book, jobID, ended);
    const limit = { clock: deps.clock, limitMs: RESCUE_MS, doing: "Freezing and ending its sandbox" };
    await within(parking, limit).catch((error: Error) => {
      deps.log("error", "a job's sandbox does not let itself be given up", { jobID, reason: error.message });
      book.update(jobID, (job) => withUnfinished(job, "its sandbox is not given up", error));
    });
    book.update(jobID, ended); // where there was nothing to park, or it does not end
  }

  async function openSession(book: JobBook, jobID: string, signal: AbortSignal): Promise<string> {
    const job = requireJob(book, jobID);
    let sessionID = job.childSession;
    if (sessionID === null && !signal.aborted) {
      const { agent, description, forbidden } = job.task;
      const title = `${description} (@${agent} subagent)`;
      sessionID = await deps.sessions.create({ orchestrator: job.orchestrator, jobID, title, agent, forbidden });
      book.update(jobID, (current) => ({ ...current, childSession: sessionID }));
    }
    if (sessionID === null) throw new PluginError("cancelled", "The job was stopped before it had a session.");
    deps.onChildSession(sessionID, book, jobID);
    return sessionID;
  }

  async function runJob(book: JobBook, jobID: string, run_: Run): Promise<void> {
    try {
      await work(book, jobID, run_);
    } catch (error) {
      const failure = toFailure(error, "sandbox_create_failed", `run ${jobID}`);
      deps.log("warn", "a job failed", { jobID, code: failure.code, reason: failure.message });
      end(book, jobID, run_, failure);
      // A turn that was to be taken up again never will be.
      if (isEnded(requireJob(book, jobID).state)) book.stopRunningTurns(jobID);
    } finally {
      if (runs.get(jobID) === run_) runs.delete(jobID);
      const lingerMs = deps.isPressed() || requireJob(book, jobID).state.kind === "cancelled" ? 0 : deps.parkAfterMs;
      deps.keeper.parkLater(book, jobID, lingerMs);
    }
  }

  return {
    run(book, jobID) {
      const { state } = requireJob(book, jobID);
      const leaseID = isHeld(state) ? state.leaseID : null;
      const former = runs.get(jobID)?.done ?? Promise.resolve();
      const run_: Run = {
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
      runs.set(jobID, run_);
      run_.done = former
        .then(() => runJob(book, jobID, run_))
        .catch((error) => {
          deps.log("error", "a job's run broke", { jobID, reason: String(error) });
        });
      return run_.done;
    },
    isRunning: (jobID) => runs.has(jobID),
    stopTurn(jobID) {
      const run_ = runs.get(jobID);
      if (run_) run_.retrying = false;
      run_?.turn?.abort();
    },
    async stop(jobID) {
      const run_ = runs.get(jobID);
      run_?.whole.abort();
      await run_?.done;
    },
    progress(jobID) {
      const run_ = runs.get(jobID);
      if (!run_ || run_.cause || run_.whole.signal.aborted) return null;
      return { hasTurn: run_.turn !== null && !run_.retrying, retried: run_.retried, told: run_.told !== null };
    },
    retryTurn(jobID) {
      const run_ = runs.get(jobID);
      if (!run_?.turn) return;
      run_.retrying = true;
      run_.turn.abort();
    },
    wrapUp(jobID, text, failure) {
      const run_ = runs.get(jobID);
      if (!run_ || run_.told || run_.cause) return;
      run_.told = failure;
      if (!run_.turn || !run_.request) return;
      deps.sessions.tell({ ...run_.request, messageID: deps.messageIDs(), text }).catch((error) => {
        deps.log("warn", "could not tell a job to wrap up", { jobID, reason: String(error) }); // it is stopped in time
      });
    },
    giveUp(jobID, failure) {
      const run_ = runs.get(jobID);
      if (!run_ || run_.cause) return;
      run_.cause = failure;
      run_.turn?.abort();
    },
    async settled(jobID) {
      const run_ = runs.get(jobID);
      if (run_?.cause) await run_.done;
    },
  };
}

function toResult({ text, cut }: { text: string; cut: boolean }): string {
  return cut ? `${text}\n[The answer was cut off at the model's output limit.]` : text;
}
