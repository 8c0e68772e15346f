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
  /** Its agent was shown a file that what has changed in the project since may have replaced. @param path absolute */
  showedOld(childSession: string, path: string): void;
  knowsOld(childSession: string, path: string): boolean;
  /** It has looked at that path again. */
  showedNew(childSession: string, path: string): void;
}

export function createWorkers(): Workers {
  const workers = new Map<string, WorkerContext>();
  const owing = new Set<string>();
  const old = new Map<string, Set<string>>();
  return {
    add: (childSession, worker) => void workers.set(childSession, worker),
    find: (childSession) => workers.get(childSession) ?? null,
    oweNews: (childSession) => void owing.add(childSession),
    owesNews: (childSession) => owing.has(childSession),
    settleNews: (childSession) => void owing.delete(childSession),
    showedOld: (childSession, path) =>
      void old.set(childSession, (old.get(childSession) ?? new Set<string>()).add(path)),
    knowsOld: (childSession, path) => old.get(childSession)?.has(path) ?? false,
    showedNew: (childSession, path) => void old.get(childSession)?.delete(path),
  };
}
