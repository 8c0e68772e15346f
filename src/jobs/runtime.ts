import type { ProviderName } from "../config/provider-names.ts";
import type { Options } from "../config/schema.ts";
import { describeDamage } from "../core/damaged-state.ts";
import { STOPPED_EARLY } from "../core/early-stopping.ts";
import { isEnded } from "../core/job.ts";
import type { Catalog, CatalogSkill, ChildSessions, OrchestratorSessions } from "../core/ports.ts";
import type { Sandbox } from "../sandboxes/port.ts";
import type { Clock } from "../shared/clock.ts";
import { createHostIds, type IdGenerator } from "../shared/ids.ts";
import type { Log } from "../shared/log.ts";
import { within } from "../shared/time-limit.ts";
import { cancelJobs, endJob } from "./actions/cancel-jobs.ts";
import { endRunsWithTheirJobs } from "./actions/end-nested-runs.ts";
import { type Bursts, createBursts } from "./bursts/bursts.ts";
import { createEarlyStopping } from "./execution/early-stopping.ts";
import { recordFirstSteps } from "./execution/first-steps.ts";
import { createJobRunner, type JobRunner } from "./execution/job-runner.ts";
import { keepAwakeWhileWaiting } from "./execution/keep-awake.ts";
import { noteQuestions } from "./execution/question-notes.ts";
import { createRecovery } from "./execution/recovery.ts";
import { createRunMetrics } from "./execution/run-metrics.ts";
import { createScheduler, type Scheduler } from "./execution/scheduler.ts";
import { createSessionActivity, type SessionActivity } from "./execution/session-activity.ts";
import { createUndoneJobs, type UndoneJobs } from "./execution/undone-jobs.ts";
import { createWaitingJobs, type WaitingJobs } from "./execution/waiting-jobs.ts";
import { createWatchdog, type Watchdog } from "./execution/watchdog.ts";
import { createWorkers, type WorkerContext, type Workers } from "./execution/workers.ts";
import { type Foundation, type FoundationDeps, openFoundation } from "./foundation.ts";
import { createMeasurements, type Measurements } from "./measure/measurements.ts";
import { createOutbox, type Outbox } from "./notify/outbox.ts";
import { createUserMessages, type UserMessages } from "./notify/user-messages.ts";
import type { GarbageReport } from "./sandbox/garbage-collector.ts";
import { copySkill } from "./sandbox/install-skills.ts";
import { createJobFiles, type JobFiles } from "./sandbox/job-files.ts";
import { createSandboxLifecycle, type SandboxLifecycle } from "./sandbox/lifecycle.ts";
import { createWarmPool, type WarmPool } from "./sandbox/warm/warm-pool.ts";
import type { SessionJobs } from "./session/session-jobs.ts";
import { createSessionTree } from "./session/session-tree.ts";

/** The parts of the domain put together; one per plugin instance, made on first need. */
export interface Runtime
  extends Pick<
    Foundation,
    | "pool"
    | "registry"
    | "provider"
    | "snapshots"
    | "sources"
    | "images"
    | "trees"
    | "projects"
    | "ledger"
    | "limits"
    | "prices"
    | "admissionLimits"
    | "machineGpus"
  > {
  readonly options: Options;
  /** Where new jobs run. */
  readonly providerName: ProviderName;
  readonly scheduler: Scheduler;
  readonly waiting: WaitingJobs;
  readonly runner: JobRunner;
  readonly lifecycle: SandboxLifecycle;
  readonly warm: WarmPool;
  readonly bursts: Bursts;
  readonly jobFiles: JobFiles;
  readonly measurements: Measurements;
  readonly activity: SessionActivity;
  readonly workers: Omit<Workers, "add" | "find" | "oweNews">;
  readonly sessions: Pick<ChildSessions, "closed">;
  readonly outbox: Outbox;
  readonly userMessages: UserMessages;
  readonly undoneJobs: UndoneJobs;
  readonly watchdog: Watchdog;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
  /** What there is to know of the options and the state besides a session's jobs, in sentences. */
  notices(orchestrator: string): readonly string[];
  /** The jobs that a session sees; opens its state, or that of the session above it, and takes up what a former process left. */
  sessionJobs(orchestrator: string): Promise<SessionJobs>;
  /** The user writes or types in a session: its environments' sandboxes are made ready. */
  warmUp(sessionID: string): Promise<void>;
  /** Whose job a child session is, if its job runs in this process. */
  worker(childSession: string): WorkerContext | null;
  /** Copies a skill that a job loads into its sandbox. @returns sentences that name the files left out */
  installSkill(skill: CatalogSkill, sandbox: Sandbox): Promise<readonly string[]>;
  /** Ends sandboxes and snapshots that nobody needs. Happens by itself at the first use, and every few minutes. */
  collectGarbage(): Promise<GarbageReport>;
  /**
   * Stops everything of this process; jobs under way become `interrupted`, sandboxes and state stay.
   * @returns the sessions with jobs that have not ended, or whose ends were not told: somebody should open them again
   */
  suspend(): Promise<readonly string[]>;
}

export interface RuntimeDeps extends FoundationDeps {
  /** What there is to say of the options. */
  readonly notices: readonly string[];
  readonly sessions: ChildSessions;
  readonly orchestrators: OrchestratorSessions;
  readonly catalog: () => Promise<Pick<Catalog, "skills">>;
}

/** The first garbage collection stays out of the way of what the runtime was opened for. */
const FIRST_COLLECTION_MS = 5_000;
const COLLECTION_INTERVAL_MS = 5 * 60_000;
/** What takes longer, e.g. a snapshot, must not keep the host from ending: the next start finds its sandbox. */
const SUSPEND_LIMIT_MS = 15_000;

export async function openRuntime(deps: RuntimeDeps): Promise<Runtime> {
  const { options, sessions, orchestrators, clock, ids, log } = deps;
  const foundation = await openFoundation(deps);
  const { pool, owner, registry, trees, limits, admissionLimits, localQueue, leases } = foundation;
  void foundation.projects.known(); // begins to look, so that the first call need not wait for git
  const hostIDs = createHostIds(() => clock.now());
  const workers = createWorkers();
  const parkAfterMs = options.parkAfterSeconds * 1000;

  const tree = createSessionTree(orchestrators);
  const activity = createSessionActivity({ sessions, workers, clock, log });
  const sandboxDeps = { ...deps, ...foundation, environments: options.environments };
  const warm = createWarmPool(sandboxDeps);
  const lifecycle = createSandboxLifecycle({ ...sandboxDeps, warm });
  const bursts = createBursts({ ...sandboxDeps, lifecycle, warm, lingerMs: options.gpuLingerSeconds * 1000 });
  const stopNoting = noteQuestions({ sessions, registry, log });
  const stopRecording = recordFirstSteps({ sessions, workers, clock, log });
  const jobFiles = createJobFiles({ ...sandboxDeps, lifecycle });
  const measurements = createMeasurements({ ...sandboxDeps, jobFiles });
  const earlyStopping = createEarlyStopping({ pool, owner, clock, log });
  const runner = createJobRunner({
    sessions,
    lifecycle,
    bursts,
    measurements,
    workers,
    activity,
    localQueue,
    trees,
    environments: options.environments,
    readOutput: [createRunMetrics({ earlyStopping, clock })],
    messageIDs: () => hostIDs("msg"),
    limits,
    parkAfterMs,
    clock,
    ids,
    log,
  });
  const watchdog = createWatchdog({ limits, runner, lifecycle, activity, registry, clock, log });
  const outbox = createOutbox({
    registry,
    tree,
    orchestrators,
    sessions,
    hostIDs,
    ids,
    resume: options.notify.resume,
    clock,
    log,
  });
  const userMessages = createUserMessages({ sessions, clock, log });
  const waiting = createWaitingJobs(log);
  const scheduler = createScheduler({
    pool,
    owner,
    admissionLimits,
    limits,
    leases,
    localQueue,
    lifecycle,
    bursts,
    runner,
    waiting,
    warm,
    machineGpus: foundation.machineGpus,
    clock,
    log,
  });
  const undoneJobs = createUndoneJobs({ registry, orchestrators, sessions, scheduler, clock, log });
  const recovery = createRecovery({
    registry,
    pool,
    leases,
    scheduler,
    runner,
    lifecycle,
    outbox,
    undoneJobs,
    parkAfterMs,
    clock,
    log,
  });

  let suspended = false;
  let cancelCollection = () => {};
  const collectGarbageIn = (delayMs: number) => {
    cancelCollection = clock.after(delayMs, async () => {
      await foundation.garbageCollector.collectGarbage();
      if (!suspended) collectGarbageIn(COLLECTION_INTERVAL_MS);
    });
  };
  collectGarbageIn(FIRST_COLLECTION_MS);

  const runtime: Runtime = {
    ...foundation,
    options,
    providerName: deps.providerName,
    scheduler,
    waiting,
    runner,
    lifecycle,
    warm,
    bursts,
    jobFiles,
    measurements,
    activity,
    workers,
    sessions,
    outbox,
    userMessages,
    undoneJobs,
    watchdog,
    clock,
    ids,
    log,
    notices: (orchestrator) => [
      ...deps.notices,
      ...describeDamage(pool, registry.damaged(orchestrator)),
      ...foundation.ledger.problems(),
    ],
    async sessionJobs(sessionID) {
      await foundation.projects.known();
      // A session that keeps jobs has a file of its own, which saves asking the host.
      const owner = registry.isDeleted(sessionID) ? await tree.ownerOf(sessionID) : sessionID;
      return tree.seenFrom(sessionID, await recovery.open(owner));
    },
    async warmUp(sessionID) {
      warm.touch(await tree.ownerOf(sessionID));
    },
    installSkill: (skill, sandbox) => copySkill(skill, sandbox, foundation.git),
    worker: (childSession) => workers.find(childSession),
    collectGarbage: foundation.garbageCollector.collectGarbage,
    async suspend() {
      suspended = true;
      outbox.suspend();
      undoneJobs.stop();
      watchdog.suspend();
      cancelCollection();
      scheduler.suspend();
      const unfinished = (await registry.allInUse()).filter(isUnfinished).map(({ orchestrator }) => orchestrator);
      const suspending = Promise.all([recovery.interruptAll(), warm.suspend()])
        .then(() => bursts.suspend())
        .then(() => measurements.settled())
        .then(() => Promise.all([trees.suspend(), foundation.images.suspend()]))
        .then(() => lifecycle.suspend());
      await within(suspending, { clock, limitMs: SUSPEND_LIMIT_MS, doing: "Suspending" }).catch((error) =>
        log("warn", "suspend did not finish", { reason: String(error) }),
      );
      activity.stop();
      stopNoting();
      stopRecording();
      userMessages.stop();
      await foundation.close();
      return unfinished;
    },
  };
  earlyStopping.onStop(({ sessionJobs, jobID, stopped }) => {
    endJob(runtime, sessionJobs, jobID, { reason: STOPPED_EARLY, stopped }).catch((error) => {
      log("error", "could not stop a run early", { jobID, reason: String(error) });
    });
  });
  endRunsWithTheirJobs(runtime);
  scheduler.onHeldByOtherProcess(({ jobID }) => lifecycle.dropAhead(jobID));
  keepAwakeWhileWaiting({ waiting, lifecycle, environments: options.environments, clock, log });
  leases.on((event) => {
    if (event.kind !== "cancel_requested") return;
    const { orchestrator, jobID } = event.lease;
    cancelJobs(runtime, orchestrator, [jobID], event.reason).catch((error) => {
      log("error", "could not cancel a job for another process", { jobID, reason: String(error) });
    });
  });
  return runtime;
}

function isUnfinished(sessionJobs: SessionJobs): boolean {
  try {
    const isOpen = sessionJobs.all().some(({ state, sandbox }) => !isEnded(state) || sandbox.kind === "live");
    return isOpen || sessionJobs.notices().length > 0;
  } catch {
    return true; // whoever opens it again says what is wrong with its file
  }
}
