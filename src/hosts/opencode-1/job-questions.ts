import type { SessionEvent } from "../../core/ports.ts";
import { QUESTION_REFUSAL } from "../../prompt/job-refusals.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import type { JobSessions } from "../shared/job-sessions.ts";
import { unwrap } from "./host-client.ts";
import type { JobInstances } from "./job-instance.ts";

/** OpenCode's question whether to go on after three equal calls: the only one allowed, since it is about no access. */
const LOOP_PERMISSION = "doom_loop";

/** A question that OpenCode waits for an answer to. */
interface Asked {
  readonly id: string;
  readonly sessionID: string;
  /** The permission asked for; null for a question of OpenCode's `question` tool. */
  readonly permission: string | null;
  /** Number of questions in one call of the `question` tool, each of which needs an answer. */
  readonly parts: number;
}

export interface JobQuestions {
  /** Takes in an event of OpenCode. Never rejects: OpenCode does not await its listeners. */
  hear(type: string, properties: Readonly<Record<string, unknown>>): Promise<void>;
  /** A job's session is being followed: for a while, questions are looked for without any event too. */
  keepLooking(): void;
  /** From now on nothing is looked for: a request would reach the next instance, or create it too early. */
  stop(): void;
}

export interface JobQuestionsDeps {
  readonly instances: Pick<JobInstances, "of" | "all">;
  readonly jobSessions: Pick<JobSessions, "jobOf">;
  readonly emit: (event: SessionEvent) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** An event may be lost, and an answer may fail. */
const LOOK_MS = 5_000;
/** Sessions of jobs are read at least every 15 seconds while a turn is under way. */
const FOLLOWED_MS = 30_000;

/**
 * Answers questions in sessions of jobs at once. Many clients do not show those questions, and a job that waits for an
 * answer would wait forever. Rules of a session cannot prevent them: OpenCode looks up `doom_loop` in the rules of the
 * agent alone, and a user's own agents may have any rules. @source OpenCode 1.18.33
 */
export function createJobQuestions({ instances, jobSessions, emit, clock, log }: JobQuestionsDeps): JobQuestions {
  /** Sessions of the questions that were seen and are not answered, by the id of the question. */
  const open = new Map<string, string>();
  let followedUntil = 0;
  let isLooking = false;
  let isStopped = false;

  async function answer(asked: Asked): Promise<void> {
    const { id, sessionID, permission } = asked;
    try {
      const mark = await jobSessions.jobOf(sessionID);
      if (!mark) return;
      setOpen(id, sessionID);
      const isAllowed = permission === LOOP_PERMISSION;
      await unwrap(reply(asked), "prompt_failed", "answer a question of OpenCode's");
      const question = permission ?? "question";
      emit({ kind: "answered", sessionID, jobID: mark.job, orchestrator: mark.orchestrator, question, isAllowed });
      setAnswered(id);
    } catch (error) {
      log("warn", "could not answer a question in a job", { sessionID, permission, reason: String(error) });
    }
  }

  /** In words, not by a bare rejection, which ends the turn. */
  async function reply({ id: requestID, sessionID, permission, parts }: Asked) {
    const client = await instances.of(sessionID);
    if (permission === null)
      return client.question.reply({ requestID, answers: Array.from({ length: parts }, () => [QUESTION_REFUSAL]) });
    if (permission === LOOP_PERMISSION) return client.permission.reply({ requestID, reply: "once" });
    return client.permission.reply({ requestID, reply: "reject", message: QUESTION_REFUSAL });
  }

  function setOpen(id: string, sessionID: string): void {
    if (open.has(id)) return;
    open.set(id, sessionID);
    emit({ kind: "question", sessionID, request: id, isOpen: true });
  }

  function setAnswered(id: string): void {
    const sessionID = open.get(id);
    if (sessionID === undefined) return;
    open.delete(id);
    emit({ kind: "question", sessionID, request: id, isOpen: false });
  }

  async function look(): Promise<void> {
    try {
      const doing = "list the open questions";
      const clients = instances.all();
      const [permissions, questions] = await Promise.all([
        Promise.all(clients.map((client) => unwrap(client.permission.list(), "prompt_failed", doing))),
        Promise.all(clients.map((client) => unwrap(client.question.list(), "prompt_failed", doing))),
      ]);
      const asked: Asked[] = [
        ...permissions.flat().map(({ id, sessionID, permission }) => ({ id, sessionID, permission, parts: 0 })),
        ...questions.flat().map(({ id, sessionID, questions: all }) => ({
          id,
          sessionID,
          permission: null,
          parts: all.length,
        })),
      ];
      const ids = new Set(asked.map(({ id }) => id));
      for (const id of [...open.keys()]) if (!ids.has(id)) setAnswered(id);
      await Promise.all(asked.map(answer));
    } catch (error) {
      log("warn", "could not look for questions in jobs", { reason: String(error) });
    }
  }

  function lookLater(): void {
    isLooking = true;
    clock.after(LOOK_MS, async () => {
      if (!isStopped) await look();
      if (!isStopped && clock.now() < followedUntil) lookLater();
      else isLooking = false;
    });
  }

  return {
    async hear(type, properties) {
      const { id, requestID, sessionID, permission, questions } = properties;
      if (typeof requestID === "string" && ENDED.has(type)) return setAnswered(requestID);
      if (type !== "permission.asked" && type !== "question.asked") return;
      if (typeof id !== "string" || typeof sessionID !== "string") return;
      const parts = Array.isArray(questions) ? questions.length : 1;
      await answer({ id, sessionID, permission: type === "question.asked" ? null : String(permission), parts });
    },
    keepLooking() {
      followedUntil = clock.now() + FOLLOWED_MS;
      if (!isLooking && !isStopped) lookLater();
    },
    stop() {
      isStopped = true;
    },
  };
}

const ENDED: ReadonlySet<string> = new Set(["permission.replied", "question.replied", "question.rejected"]);
