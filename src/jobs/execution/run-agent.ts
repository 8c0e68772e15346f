import { mayAskAtOnce, waitsLong } from "../../core/ask-at-once.ts";
import { withBriefing } from "../../core/briefing.ts";
import type { Job, Transition } from "../../core/job.ts";
import { unlessAborted } from "../../core/unless-aborted.ts";
import { renderLeftBehind } from "../../prompt/burst.ts";
import { toGoOnAfterLoss, toGoOnAfterRestart } from "../../prompt/turn-text.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import { PluginError, toFailure } from "../../shared/error-code.ts";
import type { Bursts } from "../bursts/bursts.ts";
import type { ExpectedSandbox } from "../sandbox/expected-sandbox.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import { createJobEnd, type EndJobDeps, toFailed } from "./end-job.ts";
import { untilStepEnds } from "./end-of-step.ts";
import { type Execution, openTurnOf, toStopping } from "./execution.ts";
import { type GoOn, watchSandbox } from "./go-on.ts";
import { keepAsking } from "./keep-asking.ts";
import { createJobTurns, type JobTurnsDeps, type TurnContext, type TurnOutcome } from "./turns.ts";

export interface RunAgentDeps extends JobTurnsDeps, EndJobDeps {
  readonly bursts: Pick<Bursts, "recover">;
  readonly sessions: JobTurnsDeps["sessions"];
  readonly lifecycle: JobTurnsDeps["lifecycle"] &
    EndJobDeps["lifecycle"] &
    Pick<SandboxLifecycle, "obtain" | "expected" | "creating">;
}

/** Runs an agent's job: its session, its turns, its end. @throws PluginError, with which the job fails */
export type RunAgent = (sessionJobs: SessionJobs, jobID: string, execution: Execution) => Promise<void>;

export function createRunAgent(deps: RunAgentDeps, goOn: GoOn): RunAgent {
  const { prepare, prompt, resume, endAtLoss } = createJobTurns(deps);
  const { move, rescue, write } = createJobEnd(deps);

  async function runAgent(sessionJobs: SessionJobs, jobID: string, execution: Execution): Promise<void> {
    const giveUp = execution.noSandbox;
    const signal = AbortSignal.any([execution.abort.signal, giveUp.signal]);
    const before = requireJob(sessionJobs, jobID);
    const obtaining = deps.lifecycle.obtain(sessionJobs, jobID, signal);
    let isSettled = false;
    const settle = () => {
      isSettled = true; // whoever awaits it learns why
    };
    obtaining.then(settle, settle);
    try {
      const early = await openEarly(sessionJobs, before, execution);
      if (execution.abort.signal.aborted) return;
      if (early && !isSettled) return await runEarly({ ...early, sessionJobs, jobID, execution }, obtaining, giveUp);
      const sandbox = await obtaining;
      watchSandbox(execution, sandbox);
      await runLate(sessionJobs, before, execution, sandbox);
    } catch (error) {
      giveUp.abort(); // a sandbox that arrives after this is parked
      throw error;
    }
  }

  /** Opens the session of a job whose model may be asked before its sandbox is there; null for any other job. */
  async function openEarly(sessionJobs: SessionJobs, before: Job, { abort: { signal } }: Execution) {
    const { id: jobID } = before;
    const turn = sentTurn(sessionJobs, jobID) ?? sessionJobs.nextTurn(jobID);
    if (!turn) return null;
    const facts = { wasPrompted: turn.messageID !== null, updatesFiles: turn.update !== null };
    if (!mayAskAtOnce(before, facts)) return null;
    const expected = deps.lifecycle.expected(sessionJobs, jobID).catch(() => null); // making the sandbox says why
    const sessionID = await openSession(sessionJobs, jobID, signal);
    const sandbox = await expected;
    return sandbox === null || waitsLong(deps.lifecycle.creating(jobID)) ? null : { sessionID, sandbox };
  }

  /** Prompts the model at once. Tools wait for the sandbox; if it cannot be had, the turn is stopped and the job fails. */
  async function runEarly(
    first: Omit<TurnContext, "sandbox" | "making"> & { readonly sandbox: ExpectedSandbox },
    obtaining: Promise<Sandbox>,
    giveUp: AbortController,
  ): Promise<void> {
    const { sessionJobs, jobID, sessionID, execution } = first;
    let isOver = false;
    const signal = AbortSignal.any([execution.abort.signal, giveUp.signal]);
    const made = keepAsking(deps, sessionJobs, jobID, signal, obtaining).then(
      (sandbox) => {
        isOver = true;
        watchSandbox(execution, sandbox);
        sessionJobs.update(jobID, move(execution, { kind: "running" }));
        return sandbox;
      },
      async (error) => {
        isOver = true;
        if (giveUp.signal.aborted || execution.abort.signal.aborted) return null;
        const failure = toFailure(error, "sandbox_create_failed", `run ${jobID}`);
        deps.log("warn", "a job's sandbox cannot be had", { jobID, code: failure.code, reason: failure.message });
        const turn = openTurnOf(execution.phase);
        execution.phase = toStopping(execution.phase, failure);
        // The host learns what a step has cost when the step ends, which it does as soon as the waiting tool has answered.
        if (turn) await untilStepEnds(deps, sessionID);
        turn?.abort.abort();
        return null;
      },
    );
    made.catch(() => {}); // rejects where the state cannot be written, and is awaited below
    deps.workers.oweNews(sessionID);
    sessionJobs.update(jobID, (job) => withBriefing(job, first.sandbox, first.sandbox.hasProject));
    const sandbox = { ...first.sandbox, reloadVolumes: null };
    await runTurns({ ...first, sandbox, making: { isOver: () => isOver, made } }, "", giveUp);
  }

  /** Prompts the model once the sandbox is there. @param before the job as this execution found it */
  async function runLate(
    sessionJobs: SessionJobs,
    before: Job,
    execution: Execution,
    obtained: Sandbox,
  ): Promise<void> {
    const { id: jobID } = before;
    const { signal } = execution.abort;
    const sessionID = await openSession(sessionJobs, jobID, signal);
    let sandbox = obtained;
    while (execution.phase.kind === "sandbox_lost" && !signal.aborted)
      sandbox = (await goOn(sessionJobs, jobID, execution)) ?? sandbox; // J4
    if (signal.aborted) return;
    sessionJobs.update(jobID, move(execution, { kind: "running" }));
    sessionJobs.update(jobID, (job) => withBriefing(job, sandbox));
    const isInPlace = before.sandbox.kind === "live" && before.sandbox.id === sandbox.id;
    const hadNone = before.sandbox.kind === "none" || before.sandbox.kind === "creating";
    const { loss } = requireJob(sessionJobs, jobID);
    const left = await deps.bursts.recover(sessionJobs, jobID, sandbox, isInPlace);
    const text = toGoOnAfterRestart(isInPlace || hadNone ? null : (loss ?? "unknown"), renderLeftBehind(left));
    await runTurns({ sessionJobs, jobID, sessionID, execution, sandbox, making: null }, text, new AbortController());
  }

  /**
   * Prompts turn after turn, then ends the job by how the last of them ended, or by what stopped it.
   * @param text for a turn that is to be resumed
   * @param giveUp stops the making of the job's sandbox
   */
  async function runTurns(first: TurnContext, text: string, giveUp: AbortController): Promise<void> {
    const { sessionJobs, jobID, execution } = first;
    const { signal } = execution.abort;
    let context = first;
    let goOnText = text;
    let outcome: TurnOutcome = { kind: "stopped" };
    for (;;) {
      outcome = (await promptAll(context, goOnText)) ?? outcome;
      if (context.making) {
        const isOver = outcome.kind !== "done" && !sessionJobs.nextTurn(jobID);
        if (isOver || execution.phase.kind !== "between_turns") giveUp.abort(); // it needs none any more
        const sandbox = await context.making.made;
        context = { ...context, sandbox: sandbox ?? context.sandbox, making: null };
        if (execution.phase.kind === "between_turns" && sessionJobs.nextTurn(jobID)) continue;
      }
      if (signal.aborted || execution.phase.kind !== "sandbox_lost") break;
      const left = sentTurn(sessionJobs, jobID);
      const end: TurnOutcome | null =
        left?.state === "running" ? await endAtLoss(context, left, execution.phase.isTurnDropped) : outcome;
      if (end) outcome = end;
      if (end && !sessionJobs.nextTurn(jobID)) break; // nothing is left to do: no sandbox is needed for it
      const before = requireJob(sessionJobs, jobID).gpu;
      const sandbox = await goOn(sessionJobs, jobID, execution);
      if (!sandbox) continue; // it is ending, or was stopped
      sessionJobs.update(jobID, move(execution, { kind: "running" })); // if the first was lost as soon as it was there
      context = { ...context, sandbox };
      const { loss, gpu } = requireJob(sessionJobs, jobID);
      goOnText = loss ? toGoOnAfterLoss(loss, { before, now: gpu }) : text;
    }
    if (signal.aborted) return;
    const { phase } = execution;
    if (phase.kind === "stopping") return await rescue(context, phase.stopFailure);
    if (phase.kind === "wrapping_up") return await rescue(context, phase.wrapUpFailure);
    const end = move(execution, toEnd(outcome, execution));
    let [isFirstTry, hasMore] = [true, false];
    await write(jobID, execution, () => {
      // No await between `nextTurn` and this write, so no follow-up can be missed: a later one wakes the ended job.
      hasMore = !isFirstTry && sessionJobs.nextTurn(jobID) !== undefined;
      isFirstTry = false;
      if (!hasMore) sessionJobs.update(jobID, end);
    });
    if (hasMore) await runTurns(context, "", giveUp);
  }

  /**
   * Prompts what is to be prompted until the job has no turn left, is halted, or has a turn for which the sandbox comes first.
   * @returns how the last turn ended
   */
  async function promptAll(context: TurnContext, goOnText: string): Promise<TurnOutcome | null> {
    const { sessionJobs, jobID, execution } = context;
    const { signal } = execution.abort;
    let outcome: TurnOutcome | null = null;
    const goesOn = () => !signal.aborted && execution.phase.kind === "between_turns";
    const left = goesOn() ? sentTurn(sessionJobs, jobID) : null;
    if (left) outcome = await resume(context, left, goOnText);
    for (let turn = sessionJobs.nextTurn(jobID); turn && goesOn(); turn = sessionJobs.nextTurn(jobID)) {
      if (context.making && (turn.update !== null || context.making.isOver())) break;
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

  return runAgent;
}

/** The turn to resume, if it was prompted. */
function sentTurn(sessionJobs: SessionJobs, jobID: string) {
  const turn = sessionJobs.unfinishedTurn(jobID);
  return turn?.messageID ? { ...turn, messageID: turn.messageID } : null;
}

function toEnd(outcome: TurnOutcome, execution: Execution): Transition {
  if (outcome.kind === "failed") return toFailed(execution, outcome.failure);
  if (outcome.kind === "done") return { kind: "completed", result: outcome.result, turn: execution.turn };
  return toFailed(execution, { code: "cancelled", message: "Its last turn was stopped.", retryable: true });
}
