import { withBriefing } from "../../core/briefing.ts";
import { decideBudgetAdmission, sessionBudgetFailure } from "../../core/budget.ts";
import { isEnded, type Job, type Transition, transition } from "../../core/job.ts";
import { withUnfinished } from "../../core/job-notes.ts";
import type { Limits } from "../../core/limits.ts";
import { decideAfterLoss, lossNote, notGoneOn, wentOnNote } from "../../core/sandbox-loss.ts";
import { unlessAborted } from "../../core/unless-aborted.ts";
import { toGoOnAfterLoss, toGoOnAfterRestart } from "../../prompt/turn-text.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import { sleep } from "../../shared/clock.ts";
import { type Failure, PluginError, toFailure } from "../../shared/error-code.ts";
import { within } from "../../shared/time-limit.ts";
import type { LocalQueue } from "../queue/local-queue.ts";
import { CapacityWait } from "../sandbox/capacity-wait.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import { type Execution, openTurnOf, toLost } from "./execution.ts";
import { createJobTurns, type JobTurnsDeps, type TurnContext, type TurnOutcome } from "./turns.ts";
import type { Workers } from "./workers.ts";

/** Runs a job from `starting` to its end, or until `execution.abort` fires; then parks its sandbox. */
export type RunJob = (sessionJobs: SessionJobs, jobID: string, execution: Execution) => Promise<void>;

export interface RunJobDeps extends JobTurnsDeps {
  readonly workers: Workers;
  readonly lifecycle: SandboxLifecycle;
  readonly limits: Pick<Limits, "budget" | "highestRate">;
  readonly parkAfterMs: number;
  /** While jobs are queued, sandboxes of ended jobs are parked at once. */
  readonly localQueue: Pick<LocalQueue, "all">;
}

/** Time that a stopped job keeps its slot while its sandbox is parked. */
const RESCUE_MS = 6 * 60_000;

export function createRunJob(deps: RunJobDeps): RunJob {
  const { prepare, prompt, resume, endAtLoss } = createJobTurns(deps);

  /** Moves the job of an execution, unless it was cancelled, interrupted or even woken meanwhile. */
  const move =
    ({ leaseID }: Execution, to: Transition) =>
    (job: Job) =>
      transition(job, to, deps.clock.now(), { leaseID });

  /** @throws PluginError, with which the job fails */
  async function work(sessionJobs: SessionJobs, jobID: string, execution: Execution): Promise<void> {
    const { signal } = execution.abort;
    const former = requireJob(sessionJobs, jobID).sandbox;
    let sandbox = await deps.lifecycle.obtain(sessionJobs, jobID, signal);
    watchSandbox(execution, sandbox);
    const sessionID = await openSession(sessionJobs, jobID, signal);
    while (execution.phase.kind === "sandbox_lost" && !signal.aborted)
      sandbox = (await goOn(sessionJobs, jobID, execution)) ?? sandbox; // J4
    if (signal.aborted) return;
    sessionJobs.update(jobID, move(execution, { kind: "running" }));
    sessionJobs.update(jobID, (job) => withBriefing(job, sandbox));
    const isInPlace = former.kind === "live" && former.id === sandbox.id;
    const { loss } = requireJob(sessionJobs, jobID);
    const text = toGoOnAfterRestart(isInPlace ? null : (loss ?? "unknown"));
    await runTurns({ sessionJobs, jobID, sessionID, execution, sandbox }, text);
  }

  /**
   * Prompts turn after turn, then ends the job by how the last of them ended, or by what stopped it.
   * @param text for a turn that is to be resumed
   */
  async function runTurns(first: TurnContext, text: string): Promise<void> {
    const { sessionJobs, jobID, execution } = first;
    const { signal } = execution.abort;
    let context = first;
    let goOnText = text;
    let outcome: TurnOutcome = { kind: "stopped" };
    for (;;) {
      outcome = (await promptAll(context, goOnText)) ?? outcome;
      if (signal.aborted || execution.phase.kind !== "sandbox_lost") break;
      const left = sentTurn(sessionJobs, jobID);
      const end: TurnOutcome | null =
        left?.state === "running" ? await endAtLoss(context, left, execution.phase.isTurnDropped) : outcome;
      if (end) outcome = end;
      if (end && !sessionJobs.nextTurn(jobID)) break; // nothing is left to do: no sandbox is needed for it
      const before = requireJob(sessionJobs, jobID).gpu;
      const sandbox = await goOn(sessionJobs, jobID, execution);
      if (!sandbox) continue; // it is ending, or was stopped
      context = { ...context, sandbox };
      const { loss, gpu } = requireJob(sessionJobs, jobID);
      goOnText = loss ? toGoOnAfterLoss(loss, { before, now: gpu }) : text;
    }
    if (signal.aborted) return;
    const { phase } = execution;
    if (phase.kind === "stopping") return await rescue(context, phase.stopFailure);
    if (phase.kind === "wrapping_up") return await rescue(context, phase.wrapUpFailure);
    // No await between `nextTurn` and this write, so no follow-up can be missed: a later one wakes the ended job.
    sessionJobs.update(jobID, move(execution, toEnd(outcome, execution)));
  }

  /** Prompts what is to be prompted until the job has no turn left, or is halted. @returns how the last turn ended */
  async function promptAll(context: TurnContext, goOnText: string): Promise<TurnOutcome | null> {
    const { sessionJobs, jobID, execution } = context;
    const { signal } = execution.abort;
    let outcome: TurnOutcome | null = null;
    const goesOn = () => !signal.aborted && execution.phase.kind === "between_turns";
    const left = goesOn() ? sentTurn(sessionJobs, jobID) : null;
    if (left) outcome = await resume(context, left, goOnText);
    for (let turn = sessionJobs.nextTurn(jobID); turn && goesOn(); turn = sessionJobs.nextTurn(jobID)) {
      const preparing = prepare(context, turn).catch((error) => {
        if (execution.phase.kind !== "sandbox_lost") throw error;
        return ""; // it is prepared again in the new sandbox
      });
      const preface = await unlessAborted(preparing, signal, "its files were brought up to date");
      if (!goesOn()) break;
      outcome = await prompt(context, turn, preface + turn.text);
    }
    return outcome;
  }

  /**
   * Gives a job whose sandbox was lost a new one, with the files that are left.
   * @returns null if it is stopped meanwhile
   * @throws PluginError with which the job fails if it does not go on
   */
  async function goOn(sessionJobs: SessionJobs, jobID: string, execution: Execution): Promise<Sandbox | null> {
    const lost = execution.phase;
    if (lost.kind !== "sandbox_lost") return null;
    const signal = AbortSignal.any([execution.abort.signal, lost.giveUp.signal]);
    try {
      await unlessAborted(deps.lifecycle.settled(jobID), signal, "the last files of its sandbox were kept");
      const job = requireJob(sessionJobs, jobID);
      const { loss } = job;
      const decision = loss && decideAfterLoss(loss, lost.lossFailure, factsOf(sessionJobs, job));
      if (decision?.kind === "fail") {
        const { code, message, retryable } = decision.failure;
        throw new PluginError(code, message, { retryable });
      }
      sessionJobs.update(jobID, (current) => ({ ...current, attempts: current.attempts + 1 }));
      const sandbox = await obtainAgain(sessionJobs, jobID, signal);
      if (isStopped()) return null;
      sessionJobs.update(jobID, withWentOn);
      execution.phase = { kind: "between_turns" };
      watchSandbox(execution, sandbox);
      return sandbox;
    } catch (error) {
      if (isStopped()) return null;
      throw error;
    }
    /** A dropped turn is the same loss. */
    function isStopped(): boolean {
      return execution.abort.signal.aborted || execution.phase.kind !== "sandbox_lost";
    }
  }

  /** A running job that finds no GPU free keeps its slot, and asks again where another one would go back to the queue. */
  async function obtainAgain(sessionJobs: SessionJobs, jobID: string, signal: AbortSignal): Promise<Sandbox> {
    for (;;) {
      try {
        return await deps.lifecycle.obtain(sessionJobs, jobID, signal);
      } catch (error) {
        const { loss } = requireJob(sessionJobs, jobID);
        if (!(error instanceof CapacityWait)) {
          if (!loss || !(error instanceof PluginError) || signal.aborted) throw error;
          throw new PluginError(error.code, notGoneOn(loss, error.message), {
            cause: error,
            retryable: error.retryable,
          });
        }
        const { since, retryAt } = error;
        sessionJobs.update(jobID, (job) => ({ ...job, gpuWait: { since, retryAt } }));
        await sleep(deps.clock, retryAt - deps.clock.now(), signal);
      }
    }
  }

  function factsOf(sessionJobs: SessionJobs, job: Job) {
    const { budget, highestRate } = deps.limits;
    const money = decideBudgetAdmission(job, highestRate(job), sessionJobs.all(), budget, deps.clock.now());
    const outOfBudget =
      money.kind === "admit"
        ? null
        : money.kind === "refuse"
          ? money.failure
          : sessionBudgetFailure(budget.ceilingUsd ?? 0);
    return { attempts: job.attempts, hasBegun: job.turns > 0, outOfBudget };
  }

  /** Parks the sandbox before it ends the job, so that whoever learns of the job's end finds its snapshot. */
  async function rescue({ sessionJobs, jobID, sessionID, execution }: TurnContext, failure: Failure): Promise<void> {
    execution.phase = { kind: "stopping", stopFailure: failure };
    await deps.sessions.abort(sessionID).catch(() => {}); // a late message may have started another model loop
    const ended = move(execution, toFailed(execution, failure));
    const parking = deps.lifecycle.park(sessionJobs, jobID, ended);
    const limit = { clock: deps.clock, limitMs: RESCUE_MS, doing: "Freezing and ending its sandbox" };
    await within(parking, limit).catch((error: Error) => {
      deps.log("error", "could not park a stopped job's sandbox in time", { jobID, reason: error.message });
      sessionJobs.update(jobID, (job) => withUnfinished(job, "its sandbox is not frozen and ended", error));
    });
    sessionJobs.update(jobID, ended); // if there was nothing to park, or that failed
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
    deps.workers.add(sessionID, { sessionJobs, jobID });
    return sessionID;
  }

  return async (sessionJobs, jobID, execution) => {
    try {
      await work(sessionJobs, jobID, execution);
    } catch (error) {
      if (error instanceof CapacityWait) {
        const { since, retryAt } = error;
        const back = move(execution, { kind: "queued" });
        sessionJobs.update(jobID, (job) => {
          const queued = back(job);
          return queued === job ? job : { ...queued, gpuWait: { since, retryAt } };
        });
        return;
      }
      const failure = toFailure(error, "sandbox_create_failed", `run ${jobID}`);
      deps.log("warn", "a job failed", { jobID, code: failure.code, reason: failure.message });
      sessionJobs.update(jobID, move(execution, toFailed(execution, failure)));
    } finally {
      const { state } = requireJob(sessionJobs, jobID);
      const parksAtOnce = deps.localQueue.all().length > 0 || state.kind === "cancelled";
      deps.lifecycle.parkLater(sessionJobs, jobID, parksAtOnce ? 0 : deps.parkAfterMs);
      // Last, because a full disk may refuse it: a turn that was to be resumed never will be.
      if (isEnded(state)) sessionJobs.stopRunningTurns(jobID);
    }
  };
}

/** Stops the turn when the sandbox ends. */
function watchSandbox(execution: Execution, sandbox: Sandbox): void {
  void sandbox.ended.then((lossFailure) => {
    const turn = openTurnOf(execution.phase);
    if (lossFailure) execution.phase = toLost(execution.phase, lossFailure);
    turn?.abort.abort();
  });
}

/** The turn to resume, if it was prompted. */
function sentTurn(sessionJobs: SessionJobs, jobID: string) {
  const turn = sessionJobs.unfinishedTurn(jobID);
  return turn?.messageID ? { ...turn, messageID: turn.messageID } : null;
}

/** The job that has another sandbox after the loss of its own. */
function withWentOn(job: Job): Job {
  const { loss } = job;
  if (!loss) return job;
  return { ...job, notes: [...job.notes.filter((note) => note !== lossNote(loss)), wentOnNote(loss)] };
}

/** What the turn under way had said stays the job's result. */
const toFailed = ({ words, turn }: Execution, failure: Failure): Transition => ({
  kind: "failed",
  failure,
  result: words,
  turn,
});

function toEnd(outcome: TurnOutcome, execution: Execution): Transition {
  if (outcome.kind === "failed") return toFailed(execution, outcome.failure);
  if (outcome.kind === "done") return { kind: "completed", result: outcome.result, turn: execution.turn };
  return toFailed(execution, { code: "cancelled", message: "Its last turn was stopped.", retryable: true });
}
