import type { SessionJobs } from "../session/session-jobs.ts";

/** A job as seen from inside its child session. */
export interface WorkerContext {
  readonly sessionJobs: SessionJobs;
  readonly jobID: string;
}

/** The child sessions of jobs that this process runs, or has run. */
export interface Workers {
  /** From now on tool calls of the session act on this job. */
  add(childSession: string, worker: WorkerContext): void;
  find(childSession: string): WorkerContext | null;
}

export function createWorkers(): Workers {
  const workers = new Map<string, WorkerContext>();
  return {
    add: (childSession, worker) => void workers.set(childSession, worker),
    find: (childSession) => workers.get(childSession) ?? null,
  };
}
