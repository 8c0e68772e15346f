import { posix } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { answerOf } from "../../core/answer.ts";
import { type BriefedSandbox, newsFor, withTold } from "../../core/briefing.ts";
import type { Job, TurnAnswer } from "../../core/job.ts";
import { type LastWords, withAnswer } from "../../core/last-words.ts";
import type { ImageSource, PromptRequest } from "../../core/ports.ts";
import { isNoteOf } from "../../core/sandbox-loss.ts";
import { mostTokens } from "../../core/tokens.ts";
import { decideResumption, type Transcript, textsOf } from "../../core/turn-outcome.ts";
import { callWrittenIn } from "../../core/written-out.ts";
import { describeSilence, describeWritten, renderAnswer } from "../../prompt/answer.ts";
import { toGoOnAfterSilence, toGoOnAfterSummary } from "../../prompt/turn-text.ts";
import { renderNews } from "../../prompt/worker-block.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Failure } from "../../shared/error-code.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import { untilWritten } from "../session/until-written.ts";
import type { Turn } from "../store/session-store.ts";
import { isUnwritable, toReason } from "../store/unusable.ts";
import { type Execution, isEnding, type OpenTurn, withoutTurn, withTurn } from "./execution.ts";
import { type ReloadVolumesDeps, reloadVolumes } from "./reload-volumes.ts";
import type { SessionActivity } from "./session-activity.ts";
import { readUnfinished, runTurn, type TurnEnd, type TurnRunnerDeps } from "./turn-runner.ts";
import { type UpdateFilesDeps, updateFiles } from "./update-files.ts";
import type { Workers } from "./workers.ts";

export interface JobTurnsDeps extends TurnRunnerDeps, UpdateFilesDeps, ReloadVolumesDeps {
  readonly messageIDs: () => string;
  readonly activity: SessionActivity;
  readonly workers: Pick<Workers, "add" | "oweNews" | "settleNews" | "showedOld">;
}

const withLossTold = (job: Job): Job =>
  job.loss
    ? withTold(
        job,
        job.notes.filter((note) => job.loss && isNoteOf(job.loss, note, job.task)),
      )
    : job;

/** A turn that was prompted. */
type SentTurn = Turn & { readonly messageID: string };

/** Position of the turn that a job begins with. */
const FIRST_TURN = 1;

export type TurnOutcome =
  | { readonly kind: "done"; readonly result: string }
  | { readonly kind: "failed"; readonly failure: Failure }
  | { readonly kind: "stopped" };

/** A job, the execution that its turns belong to, and the session they are prompted in. */
export interface TurnContext {
  readonly sessionJobs: SessionJobs;
  readonly jobID: string;
  readonly sessionID: string;
  readonly execution: Execution;
  /** Until it is there, what is known of it. */
  readonly sandbox: BriefedSandbox & Pick<Sandbox, "reloadVolumes">;
  /** Where the agent is prompted before its sandbox is there; null once it is. */
  readonly making: SandboxInMaking | null;
}

export interface SandboxInMaking {
  isOver(): boolean;
  /** null if it cannot be had, or is not wanted any more. */
  readonly made: Promise<Sandbox | null>;
}

/** The turns of an execution. Each is recorded before it is prompted, so that another process can take it up. */
export function createJobTurns(deps: JobTurnsDeps) {
  /** Reloads the job's volumes, and updates its files if the turn asks for that. @returns what to tell the agent before its prompt */
  async function prepare(context: TurnContext, { update }: Turn): Promise<string> {
    const { sessionJobs, jobID, sessionID, execution, sandbox } = context;
    const reloaded = await reloadVolumes(deps, requireJob(sessionJobs, jobID), sandbox);
    if (!update) return reloaded;
    const { told, changed } = await updateFiles(deps, sessionJobs, jobID, update, execution.abort.signal);
    for (const path of changed) deps.workers.showedOld(sessionID, posix.resolve(sandbox.workdir, path));
    return reloaded + told;
  }

  /**
   * Resumes a turn that a dead process left, or that was stopped because the sandbox was lost: returns its end if it has
   * one, else prompts it again.
   * @param goOn tells the agent what happened
   */
  async function resume(context: TurnContext, turn: SentTurn, goOn: string): Promise<TurnOutcome> {
    const { sessionJobs, jobID, sessionID, execution } = context;
    const transcript = await readUnfinished(deps, sessionID, turn.messageID, execution.abort.signal);
    recordUse(context, transcript);
    const decision = decideResumption(transcript, turn.messageID);
    const texts = textsOf(transcript, turn.messageID);
    if (decision.kind === "done") return settle(context, turn, toOutcome({ ...decision, texts }), texts);
    const preface = await prepare(context, turn);
    // `goOn` says in words of its own what the note on the job says.
    if (decision.kind !== "repeat") sessionJobs.update(jobID, withLossTold);
    const text = decision.kind === "repeat" ? turn.text : goOn;
    return prompt(context, turn, preface + text, { texts, isRetry: false });
  }

  /** The end of a turn that came to rest when the sandbox was lost; null if it is to be resumed. */
  async function endAtLoss(context: TurnContext, turn: SentTurn, isDropped: boolean): Promise<TurnOutcome | null> {
    const { sessionID, execution } = context;
    const transcript = await readUnfinished(deps, sessionID, turn.messageID, execution.abort.signal);
    recordUse(context, transcript);
    const decision = decideResumption(transcript, turn.messageID);
    const texts = textsOf(transcript, turn.messageID);
    if (decision.kind === "done") return settle(context, turn, toOutcome({ ...decision, texts }), texts);
    return isDropped ? settle(context, turn, { kind: "stopped" }, texts, true) : null;
  }

  /** @param before what the turn said before it was stopped, if it is prompted once more */
  async function prompt(
    context: TurnContext,
    asked: Turn,
    text: string,
    before: { readonly texts: Texts; readonly isRetry: boolean } = { texts: [], isRetry: false },
  ): Promise<TurnOutcome> {
    const { sessionJobs, jobID, sessionID, execution } = context;
    execution.turn = asked.position;
    execution.words = toWords(before.texts);
    if (execution.phase.kind === "sandbox_lost") return { kind: "stopped" }; // it is taken up in the new sandbox
    if (isEnding(execution.phase)) {
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
      text: withNews(renderNews(news), text, asked),
      images: text.endsWith(job.task.prompt) ? imagesOf(job, asked) : null,
    };
    sessionJobs.update(jobID, (current) => withTold(current, news.notes));
    if (!context.making) deps.workers.settleNews(sessionID);
    // Of a turn that is prompted again the first id stays: the later prompt may never arrive, and the turn began before it.
    const turn: Turn = { ...asked, state: "running", messageID: asked.messageID ?? request.messageID };
    sessionJobs.saveTurn(turn); // before the prompt: after a crash the turn is found in the transcript by this id
    if (asked.messageID === null) sessionJobs.update(jobID, (job) => ({ ...job, turns: job.turns + 1 }));
    const open: OpenTurn = { abort: new AbortController(), request, isRetry: before.isRetry };
    execution.phase = withTurn(execution.phase, open);
    deps.activity.heartbeat(sessionID, true);
    try {
      const end = await runTurn(
        deps,
        request,
        (transcript) => {
          execution.words = toWords([...before.texts, ...textsOf(transcript, request.messageID)]) || execution.words;
          if (recordUse(context, transcript)) deps.activity.heartbeat(sessionID, false);
        },
        AbortSignal.any([execution.abort.signal, open.abort.signal]),
      );
      const texts = [...before.texts, ...end.texts];
      if (execution.phase.kind === "retrying_turn" && end.kind === "stopped" && !execution.abort.signal.aborted) {
        return await prompt(context, turn, toGoOnAfterSilence(), { texts, isRetry: true });
      }
      if (end.kind === "summarized")
        return await prompt(context, turn, toGoOnAfterSummary(), { texts, isRetry: before.isRetry });
      return await settle(context, turn, toOutcome({ ...end, texts }), texts);
    } catch (error) {
      sessionJobs.saveTurn({ ...turn, state: "failed" });
      throw error;
    } finally {
      execution.phase = withoutTurn(execution.phase);
    }
  }

  /** Images go with the first prompt, and with it again when it never reached the session. */
  const imagesOf = ({ orchestrator, given }: Job, { position }: Turn): ImageSource | null =>
    position === FIRST_TURN && given.imagesFrom !== null
      ? { sessionID: orchestrator, messageID: given.imagesFrom }
      : null;

  /** Records how a turn has ended: first what it said, because a turn on record as ended is not read again. */
  async function settle(
    context: TurnContext,
    turn: Turn,
    outcome: TurnOutcome,
    texts: Texts,
    isDropped = false,
  ): Promise<TurnOutcome> {
    const { sessionJobs, jobID, execution } = context;
    const { signal } = execution.abort;
    execution.turn = turn.position;
    execution.words = toWords(texts) || execution.words;
    // The turn of an interrupted job stays `running`: it will be resumed.
    const isInterrupted = () => requireJob(sessionJobs, jobID).state.kind === "interrupted";
    if (isInterrupted()) return outcome;
    if (execution.phase.kind === "sandbox_lost" && outcome.kind === "stopped" && !isDropped && !signal.aborted)
      return outcome; // so will this one, in a new sandbox
    // The end of a job that is ending has these words itself.
    const isLast = isEnding(execution.phase) || signal.aborted;
    const answer = outcome.kind === "stopped" && isLast ? null : toTurnAnswer(turn, outcome, execution.words);
    const write = () => {
      if (isInterrupted()) return;
      sessionJobs.update(jobID, (job) => {
        const used = execution.unsavedUse ? withUse(job, execution.unsavedUse) : job;
        return answer ? withAnswer(used, answer) : used;
      });
      sessionJobs.saveTurn({ ...turn, state: outcome.kind });
    };
    await untilWritten(write, deps, { jobID, isOver: () => signal.aborted, signal });
    return outcome;
  }

  /** Records tokens and cost, at the end of the turn if they cannot be written now. @returns whether they are new */
  function recordUse({ sessionJobs, jobID, execution }: TurnContext, used: Transcript): boolean {
    const before = requireJob(sessionJobs, jobID);
    execution.unsavedUse = used;
    try {
      sessionJobs.update(jobID, (job) => withUse(job, used));
      execution.unsavedUse = null;
    } catch (error) {
      if (!isUnwritable(error)) throw error;
      deps.log("warn", "could not record what a job's model has used", { jobID, reason: toReason(error) });
    }
    return requireJob(sessionJobs, jobID) !== before;
  }

  return { prepare, prompt, resume, endAtLoss };
}

function withUse(job: Job, { tokens, usd }: Pick<Transcript, "tokens" | "usd">): Job {
  const used = { tokens: mostTokens(job.tokens, tokens), modelUsd: Math.max(job.modelUsd, usd) };
  return isDeepStrictEqual(used, { tokens: job.tokens, modelUsd: job.modelUsd }) ? job : { ...job, ...used };
}

/** What a turn had said that an ended process left; null where there is none. */
export async function readLastWords(
  { sessions }: Pick<JobTurnsDeps, "sessions">,
  sessionJobs: SessionJobs,
  jobID: string,
): Promise<LastWords | null> {
  const { childSession } = requireJob(sessionJobs, jobID);
  const turn = sessionJobs.unfinishedTurn(jobID);
  if (childSession === null || turn?.state !== "running" || turn.messageID === null) return null;
  const transcript = await sessions.read(childSession, turn.messageID, true);
  return { turn: turn.position, result: toWords(textsOf(transcript, turn.messageID)) };
}

/** Before what the agent is asked; after what it is told of an interruption, which explains it. */
const withNews = (news: string, text: string, asked: Turn): string =>
  news === "" || text.endsWith(asked.text) ? news + text : `${text}\n\n${news.trimEnd()}`;

type Texts = readonly (string | null)[];

function toOutcome(end: Exclude<TurnEnd, { kind: "summarized" }>): TurnOutcome {
  if (end.kind !== "done") return end;
  const failed = (code: "model_error" | "no_answer", message: string): TurnOutcome => ({
    kind: "failed",
    failure: { code, message, retryable: true },
  });
  const tool = callWrittenIn(end.texts.at(-1) ?? "");
  if (tool !== null) return failed("model_error", describeWritten(tool));
  const answer = answerOf(end.texts);
  return answer
    ? { kind: "done", result: renderAnswer(answer, end.cut) }
    : failed("no_answer", describeSilence(end.cut));
}

/** What a turn said that did not end by itself; "" for nothing. */
function toWords(texts: Texts): string {
  const answer = answerOf(texts);
  return answer ? renderAnswer({ ...answer, isEarlier: false }, false) : "";
}

/** @returns null where there is nothing to tell */
function toTurnAnswer({ position }: Turn, outcome: TurnOutcome, words: string): TurnAnswer | null {
  if (outcome.kind === "done") return { turn: position, text: outcome.result, problem: null };
  if (outcome.kind === "stopped")
    return words === "" ? null : { turn: position, text: words, problem: "stopped for the next message" };
  return { turn: position, text: words, problem: `${outcome.failure.code}: ${outcome.failure.message}` };
}
