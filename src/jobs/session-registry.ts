import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Clock } from "../shared/clock.ts";
import { PluginError } from "../shared/error-code.ts";
import type { IdGenerator } from "../shared/ids.ts";
import type { Log } from "../shared/log.ts";
import { settleCompute } from "./core/cost.ts";
import { interrupt, isEnded, isHeld, type Job, wake } from "./core/job.ts";
import { createJobBook, type JobBook, type JobChange } from "./session/session-jobs.ts";
import type { JobRunner } from "./execution/job-runner.ts";
import type { Outbox } from "./notify/outbox.ts";
import type { ProjectTrees } from "./project/trees.ts";
import type { SandboxKeeper } from "./sandbox/lifecycle.ts";
import type { Scheduler } from "./queue/scheduler.ts";
import type { Snapshots } from "./sandbox/snapshots.ts";
import type { PoolStore } from "./store/pool-store.ts";
import { openSessionStore, type SessionStore, sessionFile } from "./store/session-store.ts";
import { allAside } from "./store/set-aside.ts";

/** The sessions whose jobs this process knows: each is opened on first use, and what a former process left taken up. */
export interface Books {
  open(orchestrator: string): Promise<JobBook>;
  /** The book of a session that is in use here; null for any other. */
  inUse(orchestrator: string): Promise<JobBook> | null;
  /** Where damaged files of the session's jobs went, if they were found damaged here. */
  damaged(orchestrator: string): readonly string[];
  /** A job that another process runs, or ran: takes it up once its lease is free, unless it has ended. */
  followElsewhere(book: JobBook, jobID: string): void;
  /** Ends a deleted session's jobs, sandboxes and snapshots, and removes its store. */
  forget(orchestrator: string): Promise<void>;
  /** Interrupts the jobs of this process; resolves when their runs have unwound. Nothing is opened any more. */
  interruptAll(): Promise<void>;
  close(): Promise<void>;
}

export interface BooksDeps {
  readonly pool: PoolStore;
  readonly scheduler: Scheduler;
  readonly runner: JobRunner;
  readonly keeper: SandboxKeeper;
  readonly snapshots: Snapshots;
  readonly trees: ProjectTrees;
  readonly outbox: Outbox;
  readonly stateDir: string;
  readonly parkAfterMs: number;
  readonly onChange: (book: JobBook, change: JobChange) => void;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
}

/** Another process tells nobody here what its jobs do; a reload, which is the usual case, is over in a moment. */
const ELSEWHERE_POLL_MS = 1_000;

export function createBooks(deps: BooksDeps): Books {
  const { pool, scheduler, runner, keeper, clock, log } = deps;
  const books = new Map<string, Promise<JobBook>>();
  const stores = new Map<string, SessionStore>();
  let suspended = false;

  async function openBook(orchestrator: string): Promise<JobBook> {
    const store = await openSessionStore(sessionFile(deps.stateDir, orchestrator), clock);
    stores.set(orchestrator, store);
    for (const aside of store.damaged()) log("error", "a damaged state file was set aside", { orchestrator, aside });
    const book: JobBook = createJobBook({
      orchestrator,
      store,
      ids: deps.ids,
      onChange: (change) => deps.onChange(book, change),
    });
    const inOrder = [...book.jobs()].sort((a, b) => a.state.since - b.state.since);
    // Those that wait keep their places: what is taken up again below queues behind them.
    for (const job of inOrder) if (job.state.kind === "queued") scheduler.enqueue(book, job.id);
    for (const job of inOrder) {
      if (isHeld(job.state) || job.state.kind === "interrupted") followElsewhere(book, job.id);
      else if (isEnded(job.state) && job.sandbox.kind === "live") {
        scheduler.keepGpu(job);
        keeper.parkLater(book, job.id, deps.parkAfterMs); // its time was cut short
      }
      if (!isHeld(job.state) && job.sandbox.kind !== "live") settle(book, job);
    }
    deps.outbox.look(orchestrator);
    return book;
  }

  /** A process may die between the end of a sandbox and its record. */
  function settle(book: JobBook, { id, compute }: Job): void {
    const settled = settleCompute(compute, clock.now());
    if (settled !== compute) book.update(id, (job) => ({ ...job, compute: settled }));
  }

  function open(orchestrator: string): Promise<JobBook> {
    if (suspended)
      throw new PluginError("cancelled", "OpenCode is reloading or ending; try again.", { retryable: true });
    let opening = books.get(orchestrator);
    if (!opening) {
      opening = openBook(orchestrator).catch((error) => {
        books.delete(orchestrator);
        throw error;
      });
      books.set(orchestrator, opening);
    }
    return opening;
  }

  function followElsewhere(book: JobBook, jobID: string): void {
    const job = book.reload(jobID);
    if (isHeld(job.state) && !pool.isLeaseAlive(job.state.leaseID, clock.now())) interruptJob(book, jobID);
    if (book.get(jobID)?.state.kind === "interrupted") resumeJob(book, jobID);
    if (!isHeld(job.state) || book.get(jobID) !== job) return;
    clock.after(ELSEWHERE_POLL_MS, () => {
      if (suspended || !books.has(book.orchestrator)) return; // the stores are closed
      try {
        followElsewhere(book, jobID);
      } catch (error) {
        log("error", "could not follow a job of another process", { jobID, reason: String(error) });
      }
    });
  }

  function resumeJob(book: JobBook, jobID: string): void {
    book.update(jobID, (job) =>
      job.state.kind === "interrupted" ? { ...job, state: wake(job.state, clock.now()) } : job,
    );
    scheduler.enqueue(book, jobID);
  }

  function interruptJob(book: JobBook, jobID: string): void {
    book.update(jobID, (job) => (isHeld(job.state) ? { ...job, state: interrupt(job.state, clock.now()) } : job));
  }

  const all = async () => (await Promise.all([...books.values()].map((one) => one.catch(() => null)))).filter(isBook);

  return {
    open,
    inUse: (orchestrator) => books.get(orchestrator) ?? null,
    damaged: (orchestrator) => stores.get(orchestrator)?.damaged() ?? [],
    followElsewhere,
    async forget(orchestrator) {
      const file = sessionFile(deps.stateDir, orchestrator);
      if (!books.has(orchestrator) && !existsSync(file)) return;
      const gone = await open(orchestrator);
      for (const job of gone.jobs()) {
        scheduler.remove(job.id);
        await runner.stop(job.id);
        await keeper.discard(gone, job.id);
        await deps.trees.forgetJob(job);
      }
      await deps.snapshots.removeAll(orchestrator);
      books.delete(orchestrator);
      stores.delete(orchestrator);
      gone.close();
      const all = ["", "-wal", "-shm"].map((suffix) => file + suffix).concat(allAside(file));
      for (const path of all) await rm(path, { force: true });
    },
    async interruptAll() {
      suspended = true;
      const stopping: Promise<void>[] = [];
      for (const book of await all()) {
        for (const { id, state } of book.jobs()) {
          // First, so that the unwinding run finds the job settled. What another process runs is not ours to interrupt.
          if (isHeld(state) && runner.isRunning(id)) interruptJob(book, id);
          stopping.push(runner.stop(id)); // also of ended jobs: a cancelled one may still unwind, and it writes
        }
      }
      await Promise.all(stopping);
    },
    async close() {
      for (const book of await all()) book.close();
    },
  };
}

const isBook = (book: JobBook | null): book is JobBook => book !== null;
