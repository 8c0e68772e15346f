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
  /** Its model is asked before its sandbox is there: what that turns out to be is to be told with a tool's answer. */
  oweNews(childSession: string): void;
  owesNews(childSession: string): boolean;
  /** It has been told, by a tool or with a prompt. */
  settleNews(childSession: string): void;
}

export function createWorkers(): Workers {
  const workers = new Map<string, WorkerContext>();
  const owing = new Set<string>();
  return {
    add: (childSession, worker) => void workers.set(childSession, worker),
    find: (childSession) => workers.get(childSession) ?? null,
    oweNews: (childSession) => void owing.add(childSession),
    owesNews: (childSession) => owing.has(childSession),
    settleNews: (childSession) => void owing.delete(childSession),
  };
}
