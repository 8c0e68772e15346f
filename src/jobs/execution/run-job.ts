import { withBriefing } from "../../core/briefing.ts";
import { isEnded, type Job, type Transition, transition } from "../../core/job.ts";
import { withUnfinished } from "../../core/job-notes.ts";
import type { Limits } from "../../core/limits.ts";
import { measuredMetric, withMeasured } from "../../core/measured-job.ts";
import { withMetric } from "../../core/metric-source.ts";
import { unlessAborted } from "../../core/unless-aborted.ts";
import { toGoOnAfterLoss, toGoOnAfterRestart } from "../../prompt/turn-text.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import { type Failure, PluginError, toFailure } from "../../shared/error-code.ts";
import { within } from "../../shared/time-limit.ts";
import type { Measurements } from "../measure/measurements.ts";
import type { LocalQueue } from "../queue/local-queue.ts";
import { CapacityWait } from "../sandbox/capacity-wait.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import { beginRun, withBegun } from "./begin-run.ts";
import type { Execution } from "./execution.ts";
import { createGoOn, watchSandbox } from "./go-on.ts";
import { type CommandContext, type CommandOutcome, type RunCommandDeps, runCommand } from "./run-command.ts";
import type { SessionActivity } from "./session-activity.ts";
import { createJobTurns, type JobTurnsDeps, type TurnContext, type TurnOutcome } from "./turns.ts";
import type { Workers } from "./workers.ts";

/** Runs a job from `starting` to its end, or until `execution.abort` fires; then parks its sandbox. */
export type RunJob = (sessionJobs: SessionJobs, jobID: string, execution: Execution) => Promise<void>;

export interface RunJobDeps extends JobTurnsDeps, RunCommandDeps {
  readonly activity: SessionActivity;
  readonly workers: Workers;
  readonly lifecycle: SandboxLifecycle;
  readonly measurements: Pick<Measurements, "place">;
  readonly limits: Pick<Limits, "budget" | "highestRate">;
  readonly parkAfterMs: number;
  /** While jobs are queued, sandboxes of ended jobs are parked at once. */
  readonly localQueue: Pick<LocalQueue, "all">;
}

/** Time that a stopped job keeps its slot while its sandbox is parked. */
const RESCUE_MS = 6 * 60_000;

export function createRunJob(deps: RunJobDeps): RunJob {
  const { prepare, prompt, resume, endAtLoss } = createJobTurns(deps);
  const goOn = createGoOn(deps);

  /** Moves the job of an execution, unless it was cancelled, interrupted or even woken meanwhile. */
  const move =
    ({ leaseID }: Execution, to: Transition) =>
    (job: Job) =>
      transition(job, to, deps.clock.now(), { leaseID });

  /** @throws PluginError, with which the job fails */
  async function work(sessionJobs: SessionJobs, jobID: string, execution: Execution): Promise<void> {
    const { signal } = execution.abort;
    const before = requireJob(sessionJobs, jobID);
    let sandbox = await deps.lifecycle.obtain(sessionJobs, jobID, signal);
    watchSandbox(execution, sandbox);
    const sessionID = before.task.run ? null : await openSession(sessionJobs, jobID, signal);
    while (execution.phase.kind === "sandbox_lost" && !signal.aborted)
      sandbox = (await goOn(sessionJobs, jobID, execution)) ?? sandbox; // J4
    if (signal.aborted) return;
    if (sessionID === null) return await runToEnd({ sessionJobs, jobID, execution, sandbox }, before);
    sessionJobs.update(jobID, move(execution, { kind: "running" }));
    sessionJobs.update(jobID, (job) => withBriefing(job, sandbox));
    const isInPlace = isSandboxOf(before, sandbox);
    const { loss } = requireJob(sessionJobs, jobID);
    const text = toGoOnAfterRestart(isInPlace ? null : (loss ?? "unknown"));
    await runTurns({ sessionJobs, jobID, sessionID, execution, sandbox }, text);
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
        sessionJobs.update(jobID, endRun(execution, outcome));
        recordMeasured(sessionJobs, jobID);
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
    (execution: Execution, { failure, exitCode, result, measured }: CommandOutcome) =>
    (job: Job): Job => {
      const to = failure ? toFailed({ words: result, turn: null }, failure) : { kind: "completed" as const, result };
      const ended = move(execution, to)(job);
      if (ended === job) return job;
      const at = new Date(deps.clock.now()).toISOString();
      return {
        ...ended,
        exitCode,
        metrics: measured === undefined ? ended.metrics : withMeasured(ended, measured, at),
      };
    };

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

  /** Parks the sandbox before it ends the job, so that whoever learns of the job's end finds its snapshot. */
  async function rescue(
    {
      sessionJobs,
      jobID,
      sessionID,
      execution,
    }: Omit<CommandContext, "sandbox"> & { readonly sessionID: string | null },
    failure: Failure,
  ): Promise<void> {
    execution.phase = { kind: "stopping", stopFailure: failure };
    if (sessionID !== null) await deps.sessions.abort(sessionID).catch(() => {}); // a late message may have started another model loop
    const ended = (job: Job) => move(execution, toFailed(execution, withFilesNamed(failure, job)))(job);
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
      const { state, task } = requireJob(sessionJobs, jobID);
      // A run takes no messages that its sandbox would be waiting for.
      const parksAtOnce = deps.localQueue.all().length > 0 || state.kind === "cancelled" || task.run !== null;
      deps.lifecycle.parkLater(sessionJobs, jobID, parksAtOnce ? 0 : deps.parkAfterMs);
      // Last, because a full disk may refuse it: a turn that was to be resumed never will be.
      if (isEnded(state)) sessionJobs.stopRunningTurns(jobID);
    }
  };
}

/** A measurement counts for the job whose work it measured. */
function recordMeasured(sessionJobs: SessionJobs, runID: string): void {
  const run = requireJob(sessionJobs, runID);
  const { measures } = run.task.run ?? {};
  const metric = measures && measuredMetric(run, sessionJobs.all());
  if (!measures || !metric || !sessionJobs.get(measures.jobID)) return;
  sessionJobs.update(measures.jobID, (job) => ({ ...job, metrics: withMetric(job.metrics, measures.metric, metric) }));
}

const isSandboxOf = ({ sandbox: known }: Job, { id }: Sandbox): boolean => known.kind === "live" && known.id === id;

/** A run takes no message, so what is left of it is told with its failure. */
function withFilesNamed(failure: Failure, { task, sandbox }: Job): Failure {
  if (task.run === null || sandbox.kind !== "parked") return failure;
  if (task.run.measures)
    return { ...failure, message: `${failure.message} Measure the job again with experiments_score.` };
  const message = `${failure.message} Its files are kept in the snapshot ${sandbox.snapshotID}: start another run from it.`;
  return { ...failure, message };
}

/** The turn to resume, if it was prompted. */
function sentTurn(sessionJobs: SessionJobs, jobID: string) {
  const turn = sessionJobs.unfinishedTurn(jobID);
  return turn?.messageID ? { ...turn, messageID: turn.messageID } : null;
}

/** What the turn under way had said stays the job's result. */
const toFailed = ({ words, turn }: Pick<Execution, "words" | "turn">, failure: Failure): Transition => ({
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
