import { isEnded, type Job, transition } from "../../core/job.ts";
import { withNotes } from "../../core/job-notes.ts";
import type { JobStart } from "../../core/notice.ts";
import type { ChildSessions, OrchestratorSessions } from "../../core/ports.ts";
import { UNDONE_NOTE, UNDONE_REASON } from "../../prompt/undone.ts";
import type { Clock } from "../../shared/clock.ts";
import { createEmitter } from "../../shared/emitter.ts";
import type { Log } from "../../shared/log.ts";
import { createSerialQueues } from "../../shared/serial-queues.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { SessionRegistry } from "../session/session-registry.ts";
import type { Scheduler } from "./scheduler.ts";

/** Jobs whose start the user has undone, and may redo (`undone`) or not (`gone`). */
export interface UndoneStarts {
  readonly kind: Exclude<JobStart, "known">;
  readonly jobs: readonly Job[];
}

/**
 * Holds jobs whose start the user has undone: queued ones do not start, running ones go on. After a redo all is as before.
 * Once the undone messages are deleted, queued ones are cancelled.
 */
export interface UndoneJobs {
  /** Looks for undone starts in a session that is in use. */
  look(orchestrator: string): void;
  /** Ids of queued jobs that must not start, in a session that is being opened. Never rejects. */
  held(sessionJobs: SessionJobs): Promise<ReadonlySet<string>>;
  /** Subscribes to what the user should be told, once for every undo. */
  on(listener: (starts: UndoneStarts) => void): () => void;
  stop(): void;
}

export interface UndoneJobsDeps {
  readonly registry: Pick<SessionRegistry, "inUse">;
  readonly orchestrators: Pick<OrchestratorSessions, "view">;
  readonly sessions: Pick<ChildSessions, "on">;
  readonly scheduler: Pick<Scheduler, "enqueue" | "remove">;
  readonly clock: Clock;
  readonly log: Log;
}

export function createUndoneJobs(deps: UndoneJobsDeps): UndoneJobs {
  const { registry, orchestrators, scheduler, clock, log } = deps;
  const queue = createSerialQueues();
  const starts = createEmitter<UndoneStarts>((error) => log("error", "a listener failed", { reason: String(error) }));
  /** Ids of jobs whose start is undone for now. */
  const undone = new Set<string>();
  let stopped = false;
  const unsubscribe = deps.sessions.on(({ kind, sessionID }) => {
    if (kind === "changed") look(sessionID);
  });

  function look(orchestrator: string): void {
    if (!registry.inUse(orchestrator)) return;
    queue
      .run(orchestrator, () => check(orchestrator))
      .catch((error) => {
        log("warn", "could not see whether jobs were undone", { sessionID: orchestrator, reason: String(error) });
      });
  }

  async function check(orchestrator: string): Promise<void> {
    const sessionJobs = await registry.inUse(orchestrator);
    const untold = new Set(sessionJobs?.notices().map(({ job }) => job.id));
    const jobs = sessionJobs?.all().filter((job) => matters(job) && (!isEnded(job.state) || untold.has(job.id))) ?? [];
    if (stopped || !sessionJobs || jobs.length === 0) return;
    const { startOf } = await orchestrators.view(
      orchestrator,
      [],
      jobs.flatMap(({ origin }) => origin ?? []),
    );
    if (stopped) return;
    const starting = (job: Job): JobStart => (job.origin ? startOf(job.origin) : "known");
    const news = jobs.filter((job) => starting(job) === "undone" && !undone.has(job.id));
    for (const { id } of jobs.filter((job) => starting(job) === "undone")) hold(id);
    for (const { id } of jobs.filter((job) => starting(job) === "known")) release(sessionJobs, id);
    if (news.length > 0) starts.emit({ kind: "undone", jobs: news });
    const gone = jobs.filter((job) => starting(job) === "gone");
    for (const { id } of gone) giveUp(sessionJobs, id);
    if (gone.length > 0) starts.emit({ kind: "gone", jobs: gone.map(({ id }) => sessionJobs.get(id) as Job) });
  }

  async function held(sessionJobs: SessionJobs): Promise<ReadonlySet<string>> {
    const queued = sessionJobs.all().filter((job) => job.state.kind === "queued" && matters(job));
    const origins = queued.flatMap(({ origin }) => origin ?? []);
    if (origins.length === 0) return new Set();
    try {
      const { startOf } = await orchestrators.view(sessionJobs.orchestrator, [], origins);
      return new Set(queued.filter(({ origin }) => origin && startOf(origin) !== "known").map(({ id }) => id));
    } catch (error) {
      log("warn", "could not see whether jobs were undone", {
        sessionID: sessionJobs.orchestrator,
        reason: String(error),
      });
      return new Set();
    }
  }

  function hold(jobID: string): void {
    undone.add(jobID);
    scheduler.remove(jobID);
  }

  function release(sessionJobs: SessionJobs, jobID: string): void {
    if (undone.delete(jobID) && sessionJobs.get(jobID)?.state.kind === "queued") scheduler.enqueue(sessionJobs, jobID);
  }

  function giveUp(sessionJobs: SessionJobs, jobID: string): void {
    undone.delete(jobID);
    if (sessionJobs.get(jobID)?.state.kind === "queued") scheduler.remove(jobID);
    sessionJobs.update(jobID, (job) => withNotes(job, [UNDONE_NOTE]));
    sessionJobs.update(jobID, (job) =>
      job.state.kind === "queued" ? transition(job, { kind: "cancelled", reason: UNDONE_REASON }, clock.now()) : job,
    );
  }

  return {
    look,
    held,
    on: (listener) => starts.on(listener),
    stop() {
      stopped = true;
      unsubscribe();
    },
  };
}

/** Whether its start may be undone, and the user was not told yet that it is gone. */
const matters = ({ origin, notes }: Job): boolean => origin !== null && !notes.includes(UNDONE_NOTE);
