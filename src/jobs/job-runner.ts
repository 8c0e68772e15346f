import type { Clock } from "../shared/clock.ts";
import { type Failure, LabError, toFailure } from "../shared/error-code.ts";
import type { Log } from "../shared/log.ts";
import { complete, fail, isHeld, type Job, run } from "./job.ts";
import type { JobBook } from "./job-book.ts";
import type { ChildSessions } from "./ports.ts";
import type { SandboxKeeper } from "./sandbox-keeper.ts";
import type { Turn } from "./store/session-store.ts";
import { decideResumption, type Transcript } from "./turn.ts";
import { readLeft, runTurn, type TurnEnd } from "./turn-runner.ts";

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
}

export interface JobRunnerDeps {
  readonly sessions: ChildSessions;
  readonly keeper: SandboxKeeper;
  readonly clock: Clock;
  readonly log: Log;
  readonly messageIDs: () => string;
  readonly parkAfterMs: number;
  /** Queued jobs want room: park at once instead of lingering. */
  readonly isPressed: () => boolean;
  /** A child session now belongs to a job: its tool calls may find the sandbox. */
  readonly onChildSession: (sessionID: string, book: JobBook, jobID: string) => void;
}

interface Run {
  /** A job may be ended and woken while an earlier run of it unwinds; the lease tells them apart. */
  readonly leaseID: string | null;
  readonly whole: AbortController;
  turn: AbortController | null;
  done: Promise<void>;
}

export function createJobRunner(deps: JobRunnerDeps): JobRunner {
  const runs = new Map<string, Run>();

  const jobOf = (book: JobBook, jobID: string): Job => {
    const job = book.get(jobID);
    if (!job) throw new Error(`no job ${jobID}`);
    return job;
  };

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
    const former = jobOf(book, jobID).sandbox;
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
    for (let turn = book.nextTurn(jobID); turn && !lost && !signal.aborted; turn = book.nextTurn(jobID)) {
      outcome = await prompt(book, jobID, turn, turn.text, sessionID, run_);
    }
    if (signal.aborted) return;
    // From here to the end of `end` nothing is awaited: a follow-up is either seen above or wakes the ended job.
    if (lost) end(book, jobID, run_, lost);
    else if (outcome.kind === "failed") end(book, jobID, run_, outcome.failure);
    else if (outcome.kind === "done") end(book, jobID, run_, toResult(outcome));
    else end(book, jobID, run_, { code: "cancelled", message: "Its last turn was stopped.", retryable: true });
  }

  async function openSession(book: JobBook, jobID: string, signal: AbortSignal): Promise<string> {
    const job = jobOf(book, jobID);
    let sessionID = job.childSession;
    if (sessionID === null && !signal.aborted) {
      const { agent, description } = job.task;
      const title = `${description} (@${agent} subagent)`;
      sessionID = await deps.sessions.create({ orchestrator: job.orchestrator, jobID, title, agent });
      book.update(jobID, (current) => ({ ...current, childSession: sessionID }));
    }
    if (sessionID === null) throw new LabError("cancelled", "The job was stopped before it had a session.");
    deps.onChildSession(sessionID, book, jobID);
    return sessionID;
  }

  /** Takes up a turn that a dead process left: its end if there is one, else it is prompted again. */
  async function resume(
    book: JobBook,
    jobID: string,
    turn: Turn & { readonly messageID: string },
    { sessionID, isInPlace }: { readonly sessionID: string; readonly isInPlace: boolean },
    run_: Run,
  ): Promise<TurnEnd> {
    const transcript = await readLeft(deps, sessionID, turn.messageID, run_.whole.signal);
    account(book, jobID, transcript);
    const decision = decideResumption(transcript, turn.messageID);
    if (decision.kind === "done") {
      book.saveTurn({ ...turn, state: "done" });
      return decision;
    }
    const text = decision.kind === "repeat" ? turn.text : isInPlace ? GO_ON_IN_PLACE : GO_ON_RESTORED;
    return prompt(book, jobID, turn, text, sessionID, run_);
  }

  async function prompt(
    book: JobBook,
    jobID: string,
    asked: Turn,
    text: string,
    sessionID: string,
    run_: Run,
  ): Promise<TurnEnd> {
    const job = jobOf(book, jobID);
    const messageID = deps.messageIDs();
    const turn: Turn = { ...asked, state: "running", messageID };
    book.saveTurn(turn); // before the prompt: after a crash the transcript can still be asked for this id
    if (asked.messageID === null) book.update(job.id, (current) => ({ ...current, turns: current.turns + 1 }));
    const stopping = new AbortController();
    run_.turn = stopping;
    const signal = AbortSignal.any([run_.whole.signal, stopping.signal]);
    const { agent, model } = job.task;
    const request = { sessionID, messageID, agent, model, text };
    try {
      const outcome = await runTurn(deps, request, (transcript) => account(book, job.id, transcript), signal);
      // An interrupted job takes its turn up again.
      if (jobOf(book, jobID).state.kind !== "interrupted") book.saveTurn({ ...turn, state: outcome.kind });
      return outcome;
    } catch (error) {
      book.saveTurn({ ...turn, state: "failed" });
      throw error;
    } finally {
      run_.turn = null;
    }
  }

  function account(book: JobBook, jobID: string, { tokens, usd }: Transcript): void {
    book.update(jobID, (job) =>
      job.tokens.input === tokens.input && job.tokens.output === tokens.output && job.modelUsd === usd
        ? job
        : { ...job, tokens, modelUsd: usd },
    );
  }

  async function runJob(book: JobBook, jobID: string, run_: Run): Promise<void> {
    try {
      await work(book, jobID, run_);
    } catch (error) {
      const failure = toFailure(error, "sandbox_create_failed", `run ${jobID}`);
      deps.log("warn", "a job failed", { jobID, code: failure.code, reason: failure.message });
      end(book, jobID, run_, failure);
    } finally {
      if (runs.get(jobID) === run_) runs.delete(jobID);
      const lingerMs = deps.isPressed() || jobOf(book, jobID).state.kind === "cancelled" ? 0 : deps.parkAfterMs;
      deps.keeper.parkLater(book, jobID, lingerMs);
    }
  }

  return {
    run(book, jobID) {
      const { state } = jobOf(book, jobID);
      const leaseID = isHeld(state) ? state.leaseID : null;
      const former = runs.get(jobID)?.done ?? Promise.resolve();
      const run_: Run = { leaseID, whole: new AbortController(), turn: null, done: former };
      runs.set(jobID, run_);
      run_.done = former
        .then(() => runJob(book, jobID, run_))
        .catch((error) => {
          deps.log("error", "a job's run broke", { jobID, reason: String(error) });
        });
      return run_.done;
    },
    isRunning: (jobID) => runs.has(jobID),
    stopTurn: (jobID) => runs.get(jobID)?.turn?.abort(),
    async stop(jobID) {
      const run_ = runs.get(jobID);
      run_?.whole.abort();
      await run_?.done;
    },
  };
}

const RESTARTED = "OpenCode ended while you were at work and has started again.";
const GO_ON = "See where you stand, go on with your task, and end with the answer it asks for.";
const GO_ON_IN_PLACE = `${RESTARTED} Your files are as you left them; processes may have ended. ${GO_ON}`;
const GO_ON_RESTORED = `${RESTARTED} Your sandbox was lost and is restored from its newest snapshot: files written since are gone, and so are processes. ${GO_ON}`;

function toResult({ text, cut }: { text: string; cut: boolean }): string {
  return cut ? `${text}\n[The answer was cut off at the model's output limit.]` : text;
}
