import { isDeepStrictEqual } from "node:util";
import { type BriefedSandbox, newsFor, withTold } from "../../core/briefing.ts";
import type { Job } from "../../core/job.ts";
import type { ImageSource, PromptRequest } from "../../core/ports.ts";
import { mostTokens } from "../../core/tokens.ts";
import { decideResumption, type Transcript } from "../../core/turn-outcome.ts";
import { toGoOnAfterRestart, toGoOnAfterSilence } from "../../prompt/turn-text.ts";
import { renderNews } from "../../prompt/worker-block.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import type { Turn } from "../store/session-store.ts";
import { isEnding, type OpenTurn, type Run, withoutTurn, withTurn } from "./run.ts";
import type { SessionActivity } from "./session-activity.ts";
import { readUnfinished, runTurn, type TurnEnd, type TurnRunnerDeps } from "./turn-runner.ts";
import { type UpdateFilesDeps, updateFiles } from "./update-files.ts";

export interface JobTurnsDeps extends TurnRunnerDeps, UpdateFilesDeps {
  readonly messageIDs: () => string;
  readonly activity: SessionActivity;
}

/** Position of the turn that a job begins with. */
const FIRST_TURN = 1;

/** A job, the run that its turns belong to, and the session they are prompted in. */
export interface TurnContext {
  readonly sessionJobs: SessionJobs;
  readonly jobID: string;
  readonly sessionID: string;
  readonly run: Run;
  readonly sandbox: BriefedSandbox;
}

/** The turns of a run. Each is recorded before it is prompted, so that another process can take it up. */
export function createJobTurns(deps: JobTurnsDeps) {
  /** Updates the job's files, if the turn asks for that. @returns what to tell the agent before its prompt */
  const prepare = ({ sessionJobs, jobID, run }: TurnContext, { update }: Turn): Promise<string> =>
    update ? updateFiles(deps, sessionJobs, jobID, update, run.abort.signal) : Promise.resolve("");

  /**
   * Resumes a turn that a dead process left: returns its end if it has one, else prompts it again.
   * @param isInPlace whether the job still has the sandbox it had when that process died
   */
  async function resume(
    context: TurnContext,
    turn: Turn & { readonly messageID: string },
    isInPlace: boolean,
  ): Promise<TurnEnd> {
    const { sessionJobs, jobID, sessionID, run } = context;
    const transcript = await readUnfinished(deps, sessionID, turn.messageID, run.abort.signal);
    recordUse(sessionJobs, jobID, transcript);
    const decision = decideResumption(transcript, turn.messageID);
    if (decision.kind === "done") {
      sessionJobs.saveTurn({ ...turn, state: "done" });
      return decision;
    }
    const preface = await prepare(context, turn);
    const text = decision.kind === "repeat" ? turn.text : toGoOnAfterRestart(isInPlace);
    return prompt(context, turn, preface + text);
  }

  async function prompt(context: TurnContext, asked: Turn, text: string, isRetry = false): Promise<TurnEnd> {
    const { sessionJobs, jobID, sessionID, run } = context;
    if (isEnding(run.phase)) {
      sessionJobs.saveTurn({ ...asked, state: "stopped" });
      return { kind: "stopped" };
    }
    const job = requireJob(sessionJobs, jobID);
    const { agent, model, variant } = job.task;
    const news = newsFor(job, context.sandbox);
    const request: PromptRequest = {
      sessionID,
      messageID: deps.messageIDs(),
      agent,
      model,
      variant,
      text: renderNews(news) + text,
      images: text.endsWith(job.task.prompt) ? imagesOf(job, asked) : null,
    };
    sessionJobs.update(jobID, (current) => withTold(current, news.notes));
    const turn: Turn = { ...asked, state: "running", messageID: request.messageID };
    sessionJobs.saveTurn(turn); // before the prompt: after a crash the turn is found in the transcript by this id
    if (asked.messageID === null) sessionJobs.update(jobID, (job) => ({ ...job, turns: job.turns + 1 }));
    const open: OpenTurn = { abort: new AbortController(), request, isRetry };
    run.phase = withTurn(run.phase, open);
    deps.activity.heartbeat(sessionID, true);
    try {
      const outcome = await runTurn(
        deps,
        request,
        (transcript) => {
          run.lastText = transcript.messages.findLast((one) => one.role === "assistant")?.text ?? run.lastText;
          if (recordUse(sessionJobs, jobID, transcript)) deps.activity.heartbeat(sessionID, false);
        },
        AbortSignal.any([run.abort.signal, open.abort.signal]),
      );
      if (run.phase.kind === "retrying_turn" && outcome.kind === "stopped" && !run.abort.signal.aborted) {
        return await prompt(context, turn, toGoOnAfterSilence(), true);
      }
      // The turn of an interrupted job stays `running`: it will be resumed.
      if (requireJob(sessionJobs, jobID).state.kind !== "interrupted")
        sessionJobs.saveTurn({ ...turn, state: outcome.kind });
      return outcome;
    } catch (error) {
      sessionJobs.saveTurn({ ...turn, state: "failed" });
      throw error;
    } finally {
      run.phase = withoutTurn(run.phase);
    }
  }

  /** Images go with the first prompt, and with it again when it never reached the session. */
  const imagesOf = ({ orchestrator, given }: Job, { position }: Turn): ImageSource | null =>
    position === FIRST_TURN && given.imagesFrom !== null
      ? { sessionID: orchestrator, messageID: given.imagesFrom }
      : null;

  /** Records tokens and cost. @returns whether they are new */
  function recordUse(sessionJobs: SessionJobs, jobID: string, { tokens, usd }: Transcript): boolean {
    const before = requireJob(sessionJobs, jobID);
    const after = sessionJobs.update(jobID, (job) => {
      const used = { tokens: mostTokens(job.tokens, tokens), modelUsd: Math.max(job.modelUsd, usd) };
      return isDeepStrictEqual(used, { tokens: job.tokens, modelUsd: job.modelUsd }) ? job : { ...job, ...used };
    });
    return after !== before;
  }

  return { prepare, prompt, resume };
}
