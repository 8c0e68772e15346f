import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Options } from "../config/schema.ts";
import { boundProvider } from "../sandboxes/bounded-provider.ts";
import type { ProviderName, SandboxProvider } from "../sandboxes/port.ts";
import type { Clock } from "../shared/clock.ts";
import { within } from "../shared/deadline.ts";
import { createEmitter } from "../shared/emitter.ts";
import { createHostIds, type IdGenerator } from "../shared/ids.ts";
import type { Log } from "../shared/log.ts";
import { createGit } from "../workspace/git.ts";
import { cancelJobs } from "./actions/cancel-jobs.ts";
import { type BudgetAdmission, decideBudgetAdmission, type Spend } from "./core/budget.ts";
import { describeDamage } from "./core/damaged-state.ts";
import { isEnded, isHeld, type Job } from "./core/job.ts";
import { createLimits, type Limits } from "./core/limits.ts";
import { TOGETHER_MS } from "./core/notice.ts";
import type { Catalog, ChildSessions, OrchestratorSessions } from "./core/ports.ts";
import { createJobRunner, type JobRunner } from "./execution/job-runner.ts";
import { createScheduler, type Scheduler } from "./execution/scheduler.ts";
import { createSessionActivity, type SessionActivity } from "./execution/session-activity.ts";
import { createWatchdog, type Watchdog } from "./execution/watchdog.ts";
import { createWorkers, type WorkerContext } from "./execution/workers.ts";
import { createOutbox, type Outbox } from "./notify/outbox.ts";
import { createProjectTrees, type ProjectTrees } from "./project/trees.ts";
import { createGarbageCollector, type GarbageReport, toTags } from "./sandbox/garbage-collector.ts";
import { createSandboxLifecycle, type SandboxLifecycle } from "./sandbox/lifecycle.ts";
import { createSnapshots, type Snapshots } from "./sandbox/snapshots.ts";
import type { JobChange, SessionJobs } from "./session/session-jobs.ts";
import { createSessionRegistry, type SessionRegistry } from "./session-registry.ts";
import { toOwner } from "./store/lease-store.ts";
import { openPoolStore, type PoolStore } from "./store/pool-store.ts";

/** The parts of the domain put together; one per plugin instance, made on first need. */
export interface Runtime {
  readonly options: Options;
  readonly pool: PoolStore;
  readonly scheduler: Scheduler;
  readonly runner: JobRunner;
  readonly lifecycle: SandboxLifecycle;
  readonly snapshots: Snapshots;
  readonly trees: ProjectTrees;
  readonly activity: SessionActivity;
  readonly outbox: Outbox;
  readonly limits: Limits;
  readonly watch: Watchdog;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
  /** Where new jobs run. */
  readonly providerName: ProviderName;
  /** What there is to know of the options and the state besides a session's jobs, in sentences. */
  notices(orchestrator: string): readonly string[];
  provider(name: ProviderName): Promise<SandboxProvider>;
  /** The jobs of a session; opens its store and takes up what a former process left. */
  sessionJobs(orchestrator: string): Promise<SessionJobs>;
  /** Whose job a child session is, if its job runs in this process. */
  worker(childSession: string): WorkerContext | null;
  /** Every change of any job, and of what is known of it at the moment. */
  onChange(listener: (change: JobChange) => void): () => void;
  /** Ends sandboxes and snapshots that nobody needs. Happens by itself at the first use, and every few minutes. */
  collectGarbage(): Promise<GarbageReport>;
  /** Ends a deleted session's jobs, sandboxes and snapshots. */
  forget(orchestrator: string): Promise<void>;
  /** Stops everything of this process; jobs under way become `interrupted`, sandboxes and stores stay. */
  suspend(): Promise<void>;
}

export interface RuntimeDeps {
  readonly options: Options;
  /** What there is to say of the options. */
  readonly notices: readonly string[];
  readonly sessions: ChildSessions;
  readonly orchestrators: OrchestratorSessions;
  /** What an orchestrator is told of ended jobs, while so many others go on. */
  readonly renderNotice: (ended: readonly Job[], openJobs: number) => string;
  /** A session has spent most of what it may. */
  readonly onLowBudget: (spend: Spend, ceilingUsd: number) => void;
  readonly providerName: ProviderName;
  readonly createProvider: (name: ProviderName) => Promise<SandboxProvider>;
  /** Agents, models and skills the host offers now. */
  readonly catalog: () => Promise<Catalog>;
  /** Absolute; somewhere in the project whose files jobs start from. null = there is none. */
  readonly directory: string | null;
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
}

/** The first sweep stays out of the way of what the lab was opened for. */
const FIRST_SWEEP_MS = 5_000;
const SWEEP_MS = 5 * 60_000;
/** What hangs for longer, e.g. a snapshot, must not keep the host from ending: the next start finds its sandbox. */
const SUSPEND_MS = 15_000;
/** A session shows idle a little before it is at rest. */
const REST_MS = 300;

export async function openRuntime(deps: RuntimeDeps): Promise<Runtime> {
  const { options, sessions, clock, ids, log } = deps;
  const pool = await openPoolStore(options.stateDir, clock);
  const hostIDs = createHostIds(() => clock.now());
  const owner = toOwner(ids("owner"));
  const workers = createWorkers();
  const changes = createEmitter<JobChange>((error) => log("error", "a listener failed", { reason: String(error) }));
  const providers = new Map<ProviderName, Promise<SandboxProvider>>();
  let suspended = false;

  const provider = (name: ProviderName) => {
    const known = providers.get(name);
    if (known) return known;
    const snapshotMs = options.modal.snapshotTimeoutSeconds * 1000;
    const creating = deps.createProvider(name).then(
      (made) => boundProvider(made, clock, snapshotMs),
      (error) => {
        providers.delete(name); // the next job tries again: credentials may have come meanwhile
        throw error;
      },
    );
    providers.set(name, creating);
    return creating;
  };
  const snapshots = createSnapshots({ provider, pool, clock });
  const git = createGit(clock, deps.hostEnv);
  const { environments, stateDir } = options;
  const trees = createProjectTrees({ directory: deps.directory, stateDir, environments, git, pool, clock, ids, log });
  const limits = createLimits(options);
  const activity = createSessionActivity({ sessions, workers, clock, log });
  activity.on(async ({ orchestrator, jobID }) => {
    const job = (await registry.inUse(orchestrator))?.get(jobID);
    if (job) changes.emit({ before: job, job });
  });
  const parkAfterMs = options.parkAfterSeconds * 1000;
  const lifecycle = createSandboxLifecycle({
    ...deps,
    provider,
    snapshots,
    trees,
    git,
    pool,
    environments,
    limits,
    tagsOf: (job) => toTags(job, pool.identity()),
    claimGpu: (job, gpu) => scheduler.claimGpu(job, gpu),
    onEnded: (jobID) => scheduler.sandboxEnded(jobID),
  });
  const runner = createJobRunner({
    sessions,
    lifecycle,
    clock,
    log,
    messageIDs: () => hostIDs("msg"),
    parkAfterMs,
    hasQueuedJobs: () => scheduler.counts().queued > 0,
    workers,
    activity,
    trees,
    ids,
  });
  const watch = createWatchdog({
    limits,
    runner,
    lifecycle,
    activity,
    clock,
    log,
    onLow(sessionJobs, spend) {
      deps.onLowBudget(spend, options.budget.usdPerSession ?? 0);
      for (const job of sessionJobs.all()) if (isHeld(job.state)) changes.emit({ before: job, job }); // whoever waits looks
    },
  });
  const outbox = createOutbox({
    sessionJobs: (orchestrator) => registry.inUse(orchestrator),
    sessions: deps.orchestrators,
    messageIDs: () => hostIDs("msg"),
    render: deps.renderNotice,
    resume: options.notify.resume,
    clock,
    log,
  });
  changes.on(({ before, job }) => {
    if (isEnded(job.state) && before && !isEnded(before.state)) outbox.look(job.orchestrator, TOGETHER_MS);
  });
  const unfollow = sessions.on(({ kind, sessionID }) => {
    if (kind === "touched" && registry.inUse(sessionID)) outbox.look(sessionID, REST_MS);
  });
  const scheduler = createScheduler({
    pool,
    owner,
    limits: { maxRunningJobs: options.maxRunningJobs, gpus: options.gpuLimits },
    clock,
    ids,
    log,
    runJob: (sessionJobs, jobID) => runner.run(sessionJobs, jobID),
    rate: limits.rate,
    afford: (sessionJobs, job) => affordJob(sessionJobs, job),
    hasSandbox: (jobID) => lifecycle.isUnterminated(jobID),
    onPressure: () => lifecycle.parkWaiting(),
    onOtherProcess: (sessionJobs, jobID) => registry.followOtherProcess(sessionJobs, jobID),
    onCancelAsked({ orchestrator, jobID }, reason) {
      cancelJobs(runtime, orchestrator, [jobID], reason).catch((error) => {
        log("error", "could not cancel a job for another process", { jobID, reason: String(error) });
      });
    },
  });

  const affordJob = (sessionJobs: SessionJobs, job: Job): BudgetAdmission =>
    decideBudgetAdmission(job, limits.highestRate(job), sessionJobs.all(), limits.money, clock.now());
  const garbageCollector = createGarbageCollector({
    pool,
    lifecycle,
    provider,
    providers: existsSync(join(options.stateDir, "local")) ? [deps.providerName, "local"] : [deps.providerName],
    stateDir: options.stateDir,
    parkAfterMs,
    sessionJobs: (orchestrator) => registry.inUse(orchestrator),
    clock,
    log,
  });
  let cancelSweep = () => {};
  const sweepIn = (delayMs: number) => {
    cancelSweep = clock.after(delayMs, async () => {
      await garbageCollector.collectGarbage();
      if (!suspended) sweepIn(SWEEP_MS);
    });
  };
  sweepIn(FIRST_SWEEP_MS);

  const registry: SessionRegistry = createSessionRegistry({
    pool,
    scheduler,
    runner,
    lifecycle,
    snapshots,
    trees,
    outbox,
    stateDir,
    parkAfterMs,
    onChange(sessionJobs, change) {
      watch.look(sessionJobs);
      changes.emit(change);
    },
    clock,
    ids,
    log,
  });

  const runtime: Runtime = {
    options,
    pool,
    scheduler,
    runner,
    lifecycle,
    snapshots,
    trees,
    activity,
    outbox,
    limits,
    watch,
    clock,
    ids,
    log,
    providerName: deps.providerName,
    notices: (orchestrator) => [...deps.notices, ...describeDamage(pool.damaged(), registry.damaged(orchestrator))],
    provider,
    sessionJobs: (orchestrator) => registry.open(orchestrator),
    worker: (childSession) => workers.find(childSession),
    onChange: (listener) => changes.on(listener),
    collectGarbage: garbageCollector.collectGarbage,
    async forget(orchestrator) {
      await registry.forget(orchestrator);
      watch.forget(orchestrator);
    },
    async suspend() {
      suspended = true;
      outbox.suspend();
      watch.suspend();
      cancelSweep();
      scheduler.suspend();
      const suspending = registry
        .interruptAll()
        .then(() => trees.suspend())
        .then(() => lifecycle.suspend());
      await within(suspending, { clock, limitMs: SUSPEND_MS, doing: "Suspending" }).catch((error) =>
        log("warn", "could not bring all to rest", { reason: String(error) }),
      );
      await Promise.all([...providers.values()].map(async (one) => (await one.catch(() => null))?.close()));
      activity.stop();
      unfollow();
      await registry.close();
      pool.close();
    },
  };
  return runtime;
}
