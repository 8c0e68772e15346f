import type { Environment } from "../../config/environment.ts";
import { isExperiment, keysOf, toExperiment, toMeasured } from "../../core/experiments/experiment.ts";
import { isEnded, type Job } from "../../core/job.ts";
import type { Clock } from "../../shared/clock.ts";
import { createEmitter } from "../../shared/emitter.ts";
import type { Log } from "../../shared/log.ts";
import { PromiseCache } from "../../shared/memoize-until-failure.ts";
import type { JobChange, SessionJobs } from "../session/session-jobs.ts";
import type { SessionRegistry } from "../session/session-registry.ts";
import {
  type ExperimentEntry,
  type ExperimentStore,
  ledgerFile,
  openExperimentStore,
} from "../store/experiment-store.ts";
import { toReason } from "../store/unusable.ts";
import type { SessionProjects } from "./session-projects.ts";

/**
 * The experiments of projects, of all their sessions. A session's file is the truth about its jobs. A job that is new and one
 * that has ended is written to the ledger right after it was written there, what happens to it meanwhile within a second.
 * What was not, because the process died or the disk was full, is written with the next change, or when the session is
 * opened.
 */
export interface Ledger {
  /**
   * The experiments that a session of this process may see: those of its project, with all that is known by now.
   * @returns null where it has no project @throws PluginError `config_invalid` when the file cannot be used
   */
  open(orchestrator: string): Promise<ExperimentStore | null>;
  /** Keeps the name of the branch that an experiment was collected as. Never rejects. */
  saveBranch(orchestrator: string, jobID: string, branch: string): Promise<void>;
  /** What is not kept at present or was lost, in sentences. */
  problems(): readonly string[];
  /** Subscribes to what `problems` begins to say. Returns the function that unsubscribes. */
  onProblem(listener: (problem: string) => void): () => void;
  /** Writes what is left to be written. Never rejects. */
  close(): Promise<void>;
}

export interface LedgerDeps {
  readonly stateDir: string;
  readonly environments: Readonly<Record<string, Environment>>;
  readonly registry: Pick<SessionRegistry, "onChange" | "onOpen" | "visit">;
  readonly projects: Pick<SessionProjects, "of" | "here" | "sessionsOf">;
  readonly clock: Clock;
  readonly log: Log;
}

/** While a job runs, values of metrics that it has already are written this often. */
const RUNNING_MS = 10_000;
/** A job that starts changes several times in a moment, and one that has ended gives its sandbox away. */
const SOON_MS = 1_000;

export function createLedger({ stateDir, environments, registry, projects, clock, log }: LedgerDeps): Ledger {
  const stores = new PromiseCache<string, ExperimentStore>();
  const opened = new Map<string, ExperimentStore>();
  /** By session, jobs as they are to be written. */
  const pending = new Map<string, Map<string, Job>>();
  /** Those that do not wait for the rest. */
  const urgent = new Set<string>();
  const writtenAt = new Map<string, number>();
  const found = createEmitter<string>((error) => log("error", "a listener failed", { reason: String(error) }));
  const rebuilding = new Map<string, Promise<void>>();
  const failures = new Map<string, string>();
  const lost: string[] = [];
  let isFlushing = false;
  let cancelFlush: (() => void) | null = null;
  let isClosed = false;

  registry.onChange((change) => {
    if (!belongsHere(change.job)) return;
    const { before, job } = change;
    note(change.sessionJobs.orchestrator, job);
    if (!before || (isEnded(job.state) && !isEnded(before.state))) flushSoon([job.id]);
    else if (isNews(change)) flushLater();
  });
  registry.onOpen(noteAll);

  function note(session: string, job: Job): void {
    const jobs = pending.get(session) ?? new Map<string, Job>();
    pending.set(session, jobs.set(job.id, job));
  }

  function noteAll({ orchestrator, all }: SessionJobs): void {
    const jobs = all().filter(belongsHere);
    for (const job of jobs) note(orchestrator, job);
    flushSoon(jobs.map(({ id }) => id));
  }

  function isNews({ before, job }: JobChange): boolean {
    if (before?.state !== job.state || before.base !== job.base || before.sandbox !== job.sandbox) return true;
    if (job.state.kind !== "running") return true;
    const isNew = Object.keys(before.metrics).length !== Object.keys(job.metrics).length;
    return isNew || clock.now() - (writtenAt.get(job.id) ?? 0) >= RUNNING_MS;
  }

  /** In the next microtask, so that the jobs of one call are one write. */
  function flushSoon(jobIDs: readonly string[]): void {
    for (const id of jobIDs) urgent.add(id);
    if (isFlushing || isClosed || urgent.size === 0) return;
    isFlushing = true;
    void Promise.resolve().then(() => {
      isFlushing = false;
      flushThose((id) => urgent.has(id));
    });
  }

  function flushLater(): void {
    if (isClosed) return;
    cancelFlush ??= clock.after(SOON_MS, flush);
  }

  function flush(): void {
    cancelFlush?.();
    cancelFlush = null;
    flushThose(() => true);
  }

  function flushThose(isWanted: (jobID: string) => boolean): void {
    for (const [session, all] of [...pending]) {
      const jobs = [...all.values()].filter(({ id }) => isWanted(id));
      if (jobs.length === 0) continue;
      const project = attempt(stateDir, () => projects.of(session)) ?? null;
      if (project === null) continue;
      const store = opened.get(project);
      if (store) write(project, store, session, jobs);
      else void openStore(project).then(flush, () => {});
    }
  }

  function write(project: string, store: ExperimentStore, session: string, jobs: readonly Job[]): void {
    attempt(ledgerFile(stateDir, project), () => {
      save(store, session, jobs);
      for (const { id } of jobs) {
        urgent.delete(id);
        pending.get(session)?.delete(id);
      }
      reportLosses(store);
      if (store.wasMade()) startRebuilding(project);
    });
  }

  function save(store: ExperimentStore, session: string, jobs: readonly Job[]): void {
    const experiments: ExperimentEntry[] = [];
    const measurements = [];
    const isMany = jobs.length > 50;
    const known = isMany ? store.recordsOf(session) : null;
    for (const job of jobs) {
      const measured = toMeasured(job, environments, job.task.run?.measures ? store.measured(job.id) : null);
      if (measured && known?.get(job.id) !== JSON.stringify(measured)) measurements.push(measured);
      if (measured) continue;
      const former = store.experiment(job.id);
      const experiment = toExperiment(job, environments, former);
      if (JSON.stringify(experiment) === JSON.stringify(former)) continue;
      const { stop, createdAt } = experiment;
      const goal = stop && { metric: stop.metric, direction: stop.direction, bench: null, at: createdAt };
      experiments.push({ experiment, keys: keysOf(experiment), goal });
    }
    if (experiments.length + measurements.length > 0) store.save(session, experiments, measurements);
    for (const job of jobs) {
      if (job.state.kind === "running") writtenAt.set(job.id, clock.now());
      else writtenAt.delete(job.id);
    }
  }

  async function openStore(project: string): Promise<ExperimentStore> {
    const file = ledgerFile(stateDir, project);
    try {
      return await stores.getOrMake(project, async () => {
        const store = await openExperimentStore(file, clock);
        opened.set(project, store);
        reportLosses(store);
        if (store.wasMade()) startRebuilding(project);
        return store;
      });
    } catch (error) {
      fail(file, error);
      throw error;
    }
  }

  function startRebuilding(project: string): void {
    const done = rebuild(project).finally(() => {
      if (rebuilding.get(project) === done) rebuilding.delete(project);
    });
    rebuilding.set(project, done);
  }

  /** The file is new, perhaps because another was damaged or removed: what the project's sessions know of is written again. */
  async function rebuild(project: string): Promise<void> {
    for (const session of attempt(stateDir, () => projects.sessionsOf(project)) ?? [])
      await registry
        .visit(
          session,
          async (sessionJobs) => sessionJobs && noteAll(sessionJobs),
          () => {},
        )
        .catch((error) =>
          log("warn", "could not read the experiments of a session", { session, reason: String(error) }),
        );
  }

  /** @returns undefined where it failed: then it is said once, and tried again with the next change */
  function attempt<T>(file: string, work: () => T): T | undefined {
    try {
      const result = work();
      if (failures.delete(file)) log("info", "experiments are kept again", { file });
      return result;
    } catch (error) {
      fail(file, error);
      return undefined;
    }
  }

  function fail(file: string, error: unknown): void {
    if (isClosed || failures.has(file)) return;
    const problem = `Experiments are not kept at present: ${file} cannot be written. Jobs go on, and what they measure is written there once it can be. ${toReason(error)}`;
    failures.set(file, problem);
    log("error", "could not write the experiments of a project", { file, reason: toReason(error) });
    found.emit(problem);
  }

  function reportLosses(store: ExperimentStore): void {
    for (const aside of store.damaged()) {
      const problem = `The record of this project's experiments was damaged and is set aside as ${aside}. It is made anew from the sessions that are still there.`;
      if (lost.includes(problem)) continue;
      lost.push(problem);
      log("error", "a damaged record of experiments was set aside", { aside });
      found.emit(problem);
    }
  }

  async function open(orchestrator: string): Promise<ExperimentStore | null> {
    const project = projects.here(orchestrator);
    if (project === null) return null;
    const store = await openStore(project);
    flush(); // which may find that the file was removed
    await rebuilding.get(project);
    flush();
    return store;
  }

  return {
    open,
    async saveBranch(orchestrator, jobID, branch) {
      try {
        (await open(orchestrator))?.saveBranch(jobID, branch);
      } catch (error) {
        log("warn", "could not keep the name of a branch", { jobID, reason: toReason(error) });
      }
    },
    problems: () => [...lost, ...failures.values()],
    onProblem: (listener) => found.on(listener),
    async close() {
      flush();
      await Promise.allSettled([...stores.values(), ...rebuilding.values()]);
      flush();
      isClosed = true;
      for (const store of opened.values()) store.close();
    },
  };
}

const belongsHere = (job: Job): boolean => isExperiment(job) || job.task.run?.measures != null;
