import { isDeepStrictEqual } from "node:util";
import { createAccount } from "../../core/account.ts";
import type { Accounts } from "../../core/budget.ts";
import { isAllowedChange, isEnded, type Job } from "../../core/job.ts";
import { withRuns } from "../../core/nested-runs.ts";
import type { Delivery, Notice } from "../../core/notice.ts";
import type { MetricPoint, Point, Series } from "../../core/series.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Emitter } from "../../shared/emitter.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";
import type { LiveStore } from "../store/live-store.ts";
import type { SessionStore, Turn } from "../store/session-store.ts";
import { createSessionSeries } from "./session-series.ts";

/** A job was added or changed. `before` is null for a new job. */
export interface JobChange {
  readonly sessionJobs: SessionJobs;
  readonly before: Job | null;
  readonly job: Job;
}

/**
 * The jobs of one orchestrator session: a cache in front of the store, which is the truth. A change is written before
 * listeners hear of it. Everything is synchronous, so that nothing can come between a decision and its write.
 */
export interface SessionJobs {
  /** The session that keeps the jobs. */
  readonly orchestrator: string;
  /** All jobs of that session, where this is only what a session below it sees. */
  readonly whole: SessionJobs;
  /** In order of creation. */
  all(): readonly Job[];
  get(jobID: string): Job | undefined;
  /** What they have cost, and those that still cost something. */
  accounts(): Accounts;
  nextPosition(): number;
  /** @param jobs each with the prompt of its first turn; null = it has none */
  add(jobs: readonly { readonly job: Job; readonly prompt: string | null }[]): void;
  /** @returns the changed job @throws Error when its state changes in a way that no transition does (J2) */
  update(jobID: string, change: (job: Job) => Job): Job;
  /** Reads the job from the store again, because another process may have written it. */
  reload(jobID: string): Job;
  /** @param update state of the project to update the job's files to before the turn; null = they are not updated */
  addTurn(jobID: string, text: string, update?: TreeBase | null): Turn;
  /** The first turn that has not been prompted yet. */
  nextTurn(jobID: string): Turn | undefined;
  /** The turn to resume: the running one, else, if no turn is queued, the last. */
  unfinishedTurn(jobID: string): Turn | undefined;
  saveTurn(turn: Turn): void;
  /** What the job has reported over time, by metric; the newest points too. */
  series(jobID: string): Series;
  /** Its points of one metric. */
  points(jobID: string, metric: string): readonly Point[];
  /**
   * Adds to the series of a job that has not ended. Its `metrics` and the store follow within a second, and with every other
   * change of the job.
   * @returns the names of metrics that are not kept, because the job has too many
   */
  addPoints(jobID: string, points: readonly MetricPoint[]): readonly string[];
  /** The job begins again: what it reports from now on takes the place of what it reported before. */
  restartSeries(jobID: string): void;
  /** Marks the running turns of an ended job as stopped. */
  stopRunningTurns(jobID: string): void;
  /** Notices that have not reached the orchestrator. Each was written in one transaction with its job's end. */
  notices(): Notice[];
  /** Records how notices are delivered. @returns the changed notices, without those that another process took meanwhile */
  recordDelivery(notices: readonly Notice[], delivery: Delivery | null): Notice[];
  /** Deletes notices that have reached the orchestrator. */
  forgetNotices(notices: readonly Notice[]): void;
  /** What views in other processes read and ask for. */
  readonly live: LiveStore;
  close(): void;
}

/** What every action needs: the way to the jobs of a session. */
export interface SessionOpener {
  sessionJobs(orchestrator: string): Promise<SessionJobs>;
}

export interface SessionJobsDeps {
  readonly orchestrator: string;
  readonly store: SessionStore;
  readonly ids: IdGenerator;
  readonly clock: Clock;
  readonly log: Log;
  readonly changes: Pick<Emitter<JobChange>, "emit">;
  /** What sandboxes that are kept ready for the session have cost until now, USD, and cost per hour; absent = nothing. */
  readonly warmCost?: WarmCost | undefined;
}

/** By session. */
export type WarmCost = (orchestrator: string) => { readonly usd: number; readonly usdPerHour: number };

/** For callers that know the job exists. @throws Error when it does not */
export function requireJob(sessionJobs: SessionJobs, jobID: string): Job {
  const job = sessionJobs.get(jobID);
  if (!job) throw new Error(`no job ${jobID} in session ${sessionJobs.orchestrator}`);
  return job;
}

export function createSessionJobs(deps: SessionJobsDeps): SessionJobs {
  const { orchestrator, store, ids, clock, log, changes } = deps;
  const firstVersion = store.version();
  const jobs = new Map(store.jobs().map((job) => [job.id, job]));
  /** What the store's version was when a job was read again, by job id. */
  const readAt = new Map<string, string>();
  const account = createAccount(jobs.values());
  /** Until the next change. */
  let all: readonly Job[] | null = null;

  function put(before: Job | null, job: Job): void {
    jobs.set(job.id, job);
    account.change(before, job);
    all = null;
  }

  const series = createSessionSeries(store, clock, saveSeries);

  function saveSeries(jobID: string): void {
    try {
      sessionJobs.update(jobID, (job) => job);
    } catch (error) {
      log("warn", "could not store what a job reports", { jobID, reason: String(error) }); // its next change tries again
    }
  }

  const toTurn = (jobID: string, position: number, text: string, update: TreeBase | null = null): Turn => ({
    id: ids("turn"),
    jobID,
    position,
    text,
    state: "queued",
    messageID: null,
    update,
  });

  const sessionJobs: SessionJobs = {
    orchestrator,
    get whole() {
      return sessionJobs;
    },
    all() {
      all ??= [...jobs.values()];
      return all;
    },
    accounts: () => withWarmCost(account.state(), deps.warmCost?.(orchestrator)),
    get: (jobID) => jobs.get(jobID),
    nextPosition: () => jobs.size + 1,
    add(entries) {
      for (const { job } of entries) requireAllowed(null, job);
      store.insert(
        entries.map(({ job, prompt }) => ({ job, turn: prompt === null ? null : toTurn(job.id, 1, prompt) })),
      );
      for (const { job } of entries) {
        put(null, job);
        changes.emit({ sessionJobs, before: null, job });
      }
    },
    update(jobID, change) {
      if (!jobs.has(jobID)) throw new Error(`no job ${jobID} in session ${orchestrator}`);
      const before = sessionJobs.reload(jobID); // another process may have taken it up while this one was suspended
      const unsaved = isEnded(before.state) ? null : series.unsaved(jobID);
      // First what it has reported, which the change may judge.
      let job = change(unsaved?.apply(before) ?? before);
      if (job === before) return job;
      if (isEnded(job.state) && !isEnded(before.state)) job = withRuns(job, () => [...jobs.values()]);
      if (job.state !== before.state) requireAllowed(before, job);
      if (isEnded(job.state) && !isEnded(before.state)) store.saveEnded(job, unsaved?.records);
      else store.saveJob(job, unsaved?.records);
      if (unsaved || isEnded(job.state)) series.saved(jobID, isEnded(job.state));
      put(before, job);
      changes.emit({ sessionJobs, before, job });
      return job;
    },
    reload(jobID) {
      const before = jobs.get(jobID);
      const version = store.version();
      if (before && (readAt.get(jobID) ?? firstVersion) === version) return before; // nobody else has written
      const job = store.job(jobID);
      readAt.set(jobID, version);
      if (!before || !job) throw new Error(`no job ${jobID} in session ${orchestrator}`);
      if (isDeepStrictEqual(before, job)) return before;
      put(before, job);
      if (isEnded(job.state)) series.saved(jobID, true);
      changes.emit({ sessionJobs, before, job });
      return job;
    },
    addTurn(jobID, text, update) {
      const turn = toTurn(jobID, store.turns(jobID).length + 1, text, update);
      store.saveTurn(turn);
      return turn;
    },
    nextTurn: (jobID) => store.turns(jobID).find((turn) => turn.state === "queued"),
    unfinishedTurn(jobID) {
      const turns = store.turns(jobID);
      // The turn's end may have been written and the job's not: then it is the last turn, and is read again.
      const last = turns.every(({ state }) => state !== "queued") ? turns.at(-1) : undefined;
      return turns.find(({ state }) => state === "running") ?? last;
    },
    saveTurn: (turn) => store.saveTurn(turn),
    series: series.of,
    points: series.points,
    addPoints(jobID, points) {
      const job = requireJob(sessionJobs, jobID);
      return isEnded(job.state) ? [] : series.add(job, points);
    },
    restartSeries: (jobID) => series.restart(requireJob(sessionJobs, jobID)),
    stopRunningTurns(jobID) {
      for (const turn of store.turns(jobID))
        if (turn.state === "running") store.saveTurn({ ...turn, state: "stopped" });
    },
    notices: () => store.notices.all(),
    recordDelivery: (notices, delivery) => (notices.length === 0 ? [] : store.notices.saveDelivery(notices, delivery)),
    live: store.live,
    forgetNotices: (notices) => store.notices.delete(notices.map(({ id }) => id)),
    close() {
      for (const jobID of series.unsavedJobs()) saveSeries(jobID);
      store.close();
    },
  };
  return sessionJobs;
}

function withWarmCost(accounts: Accounts, warm: ReturnType<WarmCost> | undefined): Accounts {
  if (!warm || (warm.usd === 0 && warm.usdPerHour === 0)) return accounts;
  const { usd, modelUsd, computeUsd } = accounts.settled;
  const settled = { usd: usd + warm.usd, modelUsd, computeUsd: computeUsd + warm.usd };
  return { ...accounts, settled, warmPerHour: warm.usdPerHour };
}

/** @throws Error when no transition makes this change (J2, J4) */
function requireAllowed(before: Job | null, job: Job): void {
  if (isAllowedChange(before, job)) return;
  const { id, state, sandbox, childSession } = job;
  const found = `${state.kind} (sandbox ${sandbox.kind}, session ${childSession})`;
  throw new Error(`${id} cannot go from ${before?.state.kind ?? "new"} to ${found}`);
}
