import type { Clock } from "../../shared/clock.ts";
import type { Failure } from "../../shared/error-code.ts";
import type { ChildSessions, PromptRequest } from "../core/ports.ts";
import { decideResumption, type Transcript } from "../core/turn-outcome.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import type { Turn } from "../store/session-store.ts";
import { readLeft, runTurn, type TurnEnd } from "./turn-runner.ts";

/** One passage of a job from `starting` to its end, or to the end of this process. */
export interface Run {
  /** A job may be ended and woken while an earlier run of it unwinds; the lease tells them apart. */
  readonly leaseID: string | null;
  readonly whole: AbortController;
  turn: AbortController | null;
  done: Promise<void>;
  /** What the turn that runs was prompted with. */
  request: PromptRequest | null;
  /** The turn is being stopped to be prompted once more. */
  retrying: boolean;
  retried: boolean;
  /** What the job fails with once it has wrapped up. */
  told: Failure | null;
  /** What it fails with now. */
  cause: Failure | null;
  /** Newest text of its model. */
  said: string;
}

export interface JobTurnsDeps {
  readonly sessions: ChildSessions;
  readonly clock: Clock;
  readonly messageIDs: () => string;
  /** A turn begins, or a reading of it shows that it got on. */
  readonly onHeartbeat: (sessionID: string, isNew: boolean) => void;
  /** Brings the job's files to where the turn wants them. Returns what goes before its prompt. @throws PluginError */
  readonly prepare: (sessionJobs: SessionJobs, jobID: string, turn: Turn, signal: AbortSignal) => Promise<string>;
}

/** The turns of a run: each is recorded before it is prompted, so that a dead process's can be taken up. */
export function createJobTurns(deps: JobTurnsDeps) {
  /** Takes up a turn that a dead process left: its end if there is one, else it is prompted again. */
  async function resume(
    sessionJobs: SessionJobs,
    jobID: string,
    turn: Turn & { readonly messageID: string },
    { sessionID, isInPlace }: { readonly sessionID: string; readonly isInPlace: boolean },
    run: Run,
  ): Promise<TurnEnd> {
    const transcript = await readLeft(deps, sessionID, turn.messageID, run.whole.signal);
    account(sessionJobs, jobID, transcript);
    const decision = decideResumption(transcript, turn.messageID);
    if (decision.kind === "done") {
      sessionJobs.saveTurn({ ...turn, state: "done" });
      return decision;
    }
    const preface = await deps.prepare(sessionJobs, jobID, turn, run.whole.signal);
    const text = decision.kind === "repeat" ? turn.text : isInPlace ? GO_ON_IN_PLACE : GO_ON_RESTORED;
    return prompt(sessionJobs, jobID, turn, preface + text, sessionID, run);
  }

  async function prompt(
    sessionJobs: SessionJobs,
    jobID: string,
    asked: Turn,
    text: string,
    sessionID: string,
    run: Run,
  ): Promise<TurnEnd> {
    const job = requireJob(sessionJobs, jobID);
    const messageID = deps.messageIDs();
    const turn: Turn = { ...asked, state: "running", messageID };
    sessionJobs.saveTurn(turn); // before the prompt: after a crash the transcript can still be asked for this id
    if (asked.messageID === null) sessionJobs.update(job.id, (current) => ({ ...current, turns: current.turns + 1 }));
    const stopping = new AbortController();
    run.turn = stopping;
    run.retrying = false;
    deps.onHeartbeat(sessionID, true);
    const signal = AbortSignal.any([run.whole.signal, stopping.signal]);
    const { agent, model } = job.task;
    const request = { sessionID, messageID, agent, model, text };
    run.request = request;
    try {
      const outcome = await runTurn(
        deps,
        request,
        (transcript) => {
          run.said = transcript.messages.findLast((one) => one.role === "assistant")?.text ?? run.said;
          if (account(sessionJobs, job.id, transcript)) deps.onHeartbeat(sessionID, false);
        },
        signal,
      );
      if (run.retrying && outcome.kind === "stopped" && !run.whole.signal.aborted) {
        run.retried = true;
        return await prompt(sessionJobs, jobID, turn, GO_ON_SILENT, sessionID, run);
      }
      // An interrupted job takes its turn up again.
      if (requireJob(sessionJobs, jobID).state.kind !== "interrupted")
        sessionJobs.saveTurn({ ...turn, state: outcome.kind });
      return outcome;
    } catch (error) {
      sessionJobs.saveTurn({ ...turn, state: "failed" });
      throw error;
    } finally {
      run.turn = null;
    }
  }

  /** Whether anything was new. */
  function account(sessionJobs: SessionJobs, jobID: string, { tokens, usd }: Transcript): boolean {
    const before = requireJob(sessionJobs, jobID);
    const after = sessionJobs.update(jobID, (job) =>
      job.tokens.input === tokens.input && job.tokens.output === tokens.output && job.modelUsd === usd
        ? job
        : { ...job, tokens, modelUsd: usd },
    );
    return after !== before;
  }

  return { prompt, resume };
}

const GO_ON_SILENT =
  "You were stopped because nothing was heard of you for a long time. See where you stand, go on with your task, and end with the answer it asks for.";

const RESTARTED = "OpenCode ended while you were at work and has started again.";
const GO_ON = "See where you stand, go on with your task, and end with the answer it asks for.";
const GO_ON_IN_PLACE = `${RESTARTED} Your files are as you left them; processes may have ended. ${GO_ON}`;
const GO_ON_RESTORED = `${RESTARTED} Your sandbox was lost and is restored from its newest snapshot: files written since are gone, and so are processes. ${GO_ON}`;
