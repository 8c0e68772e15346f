import type { SessionJobs } from "../session/session-jobs.ts";

/** A job as seen from inside its child session. */
export interface WorkerContext {
  readonly sessionJobs: SessionJobs;
  readonly jobID: string;
}

/** Lines of a file, from 1. */
export interface FilePart {
  readonly from: number;
  readonly to: number;
  readonly isEnd: boolean;
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
  /** What its agent knows of a file, if anything, is older than what has changed in the project. @param path absolute */
  showedOld(childSession: string, path: string): void;
  knowsOld(childSession: string, path: string): boolean;
  /** It has looked at that path again. @param part what it saw of a file; null = all there is */
  showedNew(childSession: string, path: string, part: FilePart | null): void;
}

export function createWorkers(): Workers {
  const workers = new Map<string, WorkerContext>();
  const owing = new Set<string>();
  /** By session and path: up to which line its agent has seen the file as it is now, without a gap. */
  const old = new Map<string, Map<string, number>>();
  return {
    add: (childSession, worker) => void workers.set(childSession, worker),
    find: (childSession) => workers.get(childSession) ?? null,
    oweNews: (childSession) => void owing.add(childSession),
    owesNews: (childSession) => owing.has(childSession),
    settleNews: (childSession) => void owing.delete(childSession),
    showedOld: (childSession, path) =>
      void old.set(childSession, (old.get(childSession) ?? new Map<string, number>()).set(path, 0)),
    knowsOld: (childSession, path) => old.get(childSession)?.has(path) ?? false,
    showedNew(childSession, path, part) {
      const paths = old.get(childSession);
      const seenTo = paths?.get(path);
      if (!paths || seenTo === undefined) return;
      const follows = part !== null && part.from <= seenTo + 1;
      if (part === null || (follows && part.isEnd)) paths.delete(path);
      else if (follows) paths.set(path, Math.max(seenTo, part.to));
    },
  };
}
