import { withBriefing } from "../../core/briefing.ts";
import { isEnded, type Job, type Transition, transition } from "../../core/job.ts";
import { withUnfinished } from "../../core/job-notes.ts";
import { unlessAborted } from "../../core/unless-aborted.ts";
import { type Failure, PluginError, toFailure } from "../../shared/error-code.ts";
import { within } from "../../shared/time-limit.ts";
import type { LocalQueue } from "../queue/local-queue.ts";
import { CapacityWait } from "../sandbox/capacity-wait.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import { openTurnOf, type Run, type RunPhase } from "./run.ts";
import { createJobTurns, type JobTurnsDeps, type TurnContext, type TurnOutcome } from "./turns.ts";
import type { Workers } from "./workers.ts";

/** Runs a job from `starting` to its end, or until `run.abort` fires; then parks its sandbox. */
export type RunJob = (sessionJobs: SessionJobs, jobID: string, run: Run) => Promise<void>;

export interface RunJobDeps extends JobTurnsDeps {
  readonly workers: Workers;
  readonly lifecycle: SandboxLifecycle;
  readonly parkAfterMs: number;
  /** While jobs are queued, sandboxes of ended jobs are parked at once. */
  readonly localQueue: Pick<LocalQueue, "all">;
}

/** Time that a stopped job keeps its slot while its sandbox is parked. */
const RESCUE_MS = 6 * 60_000;

export function createRunJob(deps: RunJobDeps): RunJob {
  const { prepare, prompt, resume } = createJobTurns(deps);

  /** Moves the job of a run, unless it was cancelled, interrupted or even woken meanwhile. */
  const move =
    ({ leaseID }: Run, to: Transition) =>
    (job: Job) =>
      transition(job, to, deps.clock.now(), { leaseID });

  /** @throws PluginError, with which the job fails */
  async function work(sessionJobs: SessionJobs, jobID: string, run: Run): Promise<void> {
    const { signal } = run.abort;
    const former = requireJob(sessionJobs, jobID).sandbox;
    const sandbox = await deps.lifecycle.obtain(sessionJobs, jobID, signal);
    void sandbox.ended.then((lossFailure) => {
      const turn = openTurnOf(run.phase);
      if (lossFailure) run.phase = { kind: "sandbox_lost", lossFailure };
      turn?.abort.abort();
    });
    const sessionID = await openSession(sessionJobs, jobID, signal);
    if (signal.aborted) return;
    requireSandbox(run.phase); // J4
    sessionJobs.update(jobID, move(run, { kind: "running" }));
    sessionJobs.update(jobID, (job) => withBriefing(job, sandbox));
    const isInPlace = former.kind === "live" && former.id === sandbox.id;
    await runTurns({ sessionJobs, jobID, sessionID, run, sandbox }, isInPlace);
  }

  /** Prompts turn after turn, then ends the job by how the last of them ended, or by what stopped it. */
  async function runTurns(context: TurnContext, isInPlace: boolean): Promise<void> {
    const { sessionJobs, jobID, run } = context;
    const { signal } = run.abort;
    let outcome: TurnOutcome = { kind: "stopped" };
    const left = sessionJobs.unfinishedTurn(jobID);
    if (left?.messageID) outcome = await resume(context, { ...left, messageID: left.messageID }, isInPlace);
    const goesOn = () => !signal.aborted && run.phase.kind === "between_turns";
    for (let turn = sessionJobs.nextTurn(jobID); turn && goesOn(); turn = sessionJobs.nextTurn(jobID)) {
      const preface = await unlessAborted(prepare(context, turn), signal, "its files were brought up to date");
      if (!goesOn()) break;
      outcome = await prompt(context, turn, preface + turn.text);
    }
    if (signal.aborted) return;
    const { phase } = run;
    if (phase.kind === "stopping") return await rescue(context, phase.stopFailure);
    if (phase.kind === "wrapping_up") return await rescue(context, phase.wrapUpFailure);
    // No await between `nextTurn` and this write, so no follow-up can be missed: a later one wakes the ended job.
    const end = phase.kind === "sandbox_lost" ? toFailed(run, phase.lossFailure) : toEnd(outcome, run);
    sessionJobs.update(jobID, move(run, end));
  }

  /** Parks the sandbox before it ends the job, so that whoever learns of the job's end finds its snapshot. */
  async function rescue({ sessionJobs, jobID, sessionID, run }: TurnContext, failure: Failure): Promise<void> {
    run.phase = { kind: "stopping", stopFailure: failure };
    await deps.sessions.abort(sessionID).catch(() => {}); // a late message may have started another model loop
    const ended = move(run, toFailed(run, failure));
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

  return async (sessionJobs, jobID, run) => {
    try {
      await work(sessionJobs, jobID, run);
    } catch (error) {
      if (error instanceof CapacityWait) {
        const { since, retryAt } = error;
        const back = move(run, { kind: "queued" });
        sessionJobs.update(jobID, (job) => {
          const queued = back(job);
          return queued === job ? job : { ...queued, gpuWait: { since, retryAt } };
        });
        return;
      }
      const failure = toFailure(error, "sandbox_create_failed", `run ${jobID}`);
      deps.log("warn", "a job failed", { jobID, code: failure.code, reason: failure.message });
      sessionJobs.update(jobID, move(run, toFailed(run, failure)));
    } finally {
      const { state } = requireJob(sessionJobs, jobID);
      const parksAtOnce = deps.localQueue.all().length > 0 || state.kind === "cancelled";
      deps.lifecycle.parkLater(sessionJobs, jobID, parksAtOnce ? 0 : deps.parkAfterMs);
      // Last, because a full disk may refuse it: a turn that was to be resumed never will be.
      if (isEnded(state)) sessionJobs.stopRunningTurns(jobID);
    }
  };
}

/** @throws PluginError when the sandbox is lost */
function requireSandbox(phase: RunPhase): void {
  if (phase.kind !== "sandbox_lost") return;
  const { code, message, retryable } = phase.lossFailure;
  throw new PluginError(code, message, { retryable });
}

/** What the turn under way had said stays the job's result. */
const toFailed = ({ words, turn }: Run, failure: Failure): Transition => ({
  kind: "failed",
  failure,
  result: words,
  turn,
});

function toEnd(outcome: TurnOutcome, run: Run): Transition {
  if (outcome.kind === "failed") return toFailed(run, outcome.failure);
  if (outcome.kind === "done") return { kind: "completed", result: outcome.result, turn: run.turn };
  return toFailed(run, { code: "cancelled", message: "Its last turn was stopped.", retryable: true });
}
