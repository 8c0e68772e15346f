import type { Activity } from "../../core/activity.ts";
import type { ChildSessions, SessionEvent } from "../../core/ports.ts";
import { nextRepeats, type Repeats } from "../../core/repeats.ts";
import type { Clock } from "../../shared/clock.ts";
import { createEmitter } from "../../shared/emitter.ts";
import type { Log } from "../../shared/log.ts";
import type { Workers } from "./workers.ts";

/** What jobs do at the moment: agents by the events of their child sessions, runs by their output. */
export interface SessionActivity {
  of(childSession: string | null): Activity;
  /** A turn begins (`isNew`), or a reading of its session shows that it got on. */
  heartbeat(childSession: string, isNew: boolean): void;
  /** A run's output has got on to this line; null = its command has ended. */
  showLine(run: ActivitySeen, line: string | null): void;
  /** The newest line of a run's output; null when its command does not run here, or has printed nothing. */
  lineOf(jobID: string): string | null;
  /**
   * A run's command has begun, or one that an agent's tool runs. Of several the newest counts.
   * @param tail the newest lines of its output, asked for when somebody looks
   * @returns the function that says that it has ended
   */
  beginCommand(jobID: string, command: string, tail: RunningCommand["tail"]): () => void;
  /** What runs in the job's sandbox for it; null = nothing. */
  commandOf(jobID: string): RunningCommand | null;
  /** A job's tools or repeated requests have changed, or a run's newest line. Not called for mere signs of life: there are many a second. */
  on(listener: (seen: ActivitySeen) => void): () => void;
  stop(): void;
}

export interface RunningCommand {
  readonly command: string;
  /** The newest lines of its output, as a terminal shows them. */
  readonly tail: (lines: number) => string;
}

export interface ActivitySeen {
  readonly orchestrator: string;
  readonly jobID: string;
}

export interface SessionActivityDeps {
  readonly sessions: ChildSessions;
  readonly workers: Workers;
  readonly clock: Clock;
  readonly log: Log;
}

/** What the events of a session say so far. */
interface Observation {
  /** Names of the tools that run, by call. */
  readonly tools: ReadonlyMap<string, string>;
  /** Ids of the questions that the host waits with. */
  readonly questions: ReadonlySet<string>;
  readonly retry: Activity["retry"];
  readonly repeats: Repeats | null;
}

const IDLE: Observation = { tools: new Map(), questions: new Set(), retry: null, repeats: null };

export function createSessionActivity({ sessions, workers, clock, log }: SessionActivityDeps): SessionActivity {
  const observed = new Map<string, Observation>();
  const lastActivityAt = new Map<string, number>();
  /** By run. */
  const lines = new Map<string, string>();
  /** By job, in the order in which they began. */
  const commands = new Map<string, RunningCommand[]>();
  const seen = createEmitter<ActivitySeen>((error) =>
    log("error", "a listener to session activity failed", { reason: String(error) }),
  );

  const unsubscribe = sessions.on((event) => {
    const { sessionID } = event;
    if (lastActivityAt.has(sessionID) && SIGNS_OF_LIFE.has(event.kind)) lastActivityAt.set(sessionID, clock.now());
    if (event.kind === "deleted") lastActivityAt.delete(sessionID);
    const before = observed.get(sessionID) ?? IDLE;
    const after = next(before, event);
    if (after === before) return;
    if (after === IDLE) observed.delete(sessionID);
    else observed.set(sessionID, after);
    const worker = workers.find(sessionID);
    if (worker) seen.emit({ orchestrator: worker.sessionJobs.orchestrator, jobID: worker.jobID });
  });

  return {
    of(childSession) {
      const id = childSession ?? "";
      const { tools, questions, retry, repeats } = observed.get(id) ?? IDLE;
      const tool = [...tools.values()].at(-1) ?? null;
      return { tool, isAsking: questions.size > 0, retry, repeats, lastActivityAt: lastActivityAt.get(id) ?? null };
    },
    heartbeat(childSession, isNew) {
      if (isNew || lastActivityAt.has(childSession)) lastActivityAt.set(childSession, clock.now());
    },
    showLine(run, line) {
      if (lines.get(run.jobID) === (line ?? undefined)) return;
      if (line === null)
        lines.delete(run.jobID); // the end of the run is news of its own
      else {
        lines.set(run.jobID, line);
        seen.emit(run);
      }
    },
    lineOf: (jobID) => lines.get(jobID) ?? null,
    beginCommand(jobID, command, tail) {
      const own = { command, tail };
      commands.set(jobID, [...(commands.get(jobID) ?? []), own]);
      return () => {
        const left = (commands.get(jobID) ?? []).filter((one) => one !== own);
        if (left.length > 0) commands.set(jobID, left);
        else commands.delete(jobID);
      };
    },
    commandOf: (jobID) => commands.get(jobID)?.at(-1) ?? null,
    on: (listener) => seen.on(listener),
    stop: unsubscribe,
  };
}

const SIGNS_OF_LIFE: ReadonlySet<string> = new Set<SessionEvent["kind"]>(["output", "step", "tool", "retry"]);

function next(before: Observation, event: SessionEvent): Observation {
  switch (event.kind) {
    case "tool": {
      if (before.tools.has(event.call) === event.running) return before;
      const tools = new Map(before.tools);
      if (event.running) tools.set(event.call, event.tool);
      else tools.delete(event.call);
      if (event.running) return { ...before, tools };
      const { key = null, tookMs = null } = event.ended ?? {};
      return { ...before, tools, repeats: nextRepeats(before.repeats, event.tool, key, tookMs) };
    }
    case "question": {
      if (before.questions.has(event.request) === event.isOpen) return before;
      const questions = new Set(before.questions);
      if (event.isOpen) questions.add(event.request);
      else questions.delete(event.request);
      return { ...before, questions };
    }
    case "retry":
      return { ...before, retry: event };
    case "progress":
    case "output":
      return before.retry ? { ...before, retry: null } : before;
    case "touched":
    case "deleted":
      return IDLE;
    default:
      return before;
  }
}
