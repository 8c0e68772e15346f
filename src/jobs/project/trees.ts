import { relative, sep } from "node:path";
import type { Environment } from "../../config/environment.ts";
import { addUsd, usdOver } from "../../core/cost.ts";
import type { Job } from "../../core/job.ts";
import { withNotes } from "../../core/job-notes.ts";
import type { Limits } from "../../core/limits.ts";
import type { StepListener } from "../../sandboxes/creation-steps.ts";
import type { Sandbox, SandboxProvider } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError, toFailure } from "../../shared/error-code.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import { memoizeBriefly } from "../../shared/memoize-briefly.ts";
import { forgetBranch } from "../../workspace/collect/create-branch.ts";
import type { Git } from "../../workspace/git.ts";
import { forgetMeasured } from "../../workspace/measure/measured-files.ts";
import { captureTree, type TreeBase } from "../../workspace/project/capture-tree.ts";
import { findProject } from "../../workspace/project/find-project.ts";
import { readHomes, realPathOrSelf } from "../../workspace/project/home-folders.ts";
import { identityOf } from "../../workspace/project/identity.ts";
import { openProjectStore, type ProjectStore, storeFolder } from "../../workspace/project/project-store.ts";
import { removeChanges } from "../../workspace/project/stored-changes.ts";
import type { Environments } from "../environments/environments.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { PoolStore } from "../store/pool-store.ts";
import type { SnapshotBases } from "../store/snapshot-use-store.ts";
import type { WarmTree } from "../store/warm-rows.ts";
import { createKeptWork, type KeptWork } from "./kept-work.ts";
import type { OldFiles } from "./old-files.ts";
import { createPreparedTrees } from "./prepared-trees.ts";
import { prepareStart, type StartingRequest } from "./starting-snapshot.ts";
import { bringToBase, toWarmTree } from "./warm-trees.ts";

/** The user's project in sandboxes: captured when jobs are started, sent once for all jobs that start from the same files. */
export interface ProjectTrees extends KeptWork {
  /** Begins to capture the project as it is now for these new jobs. Returns at once. */
  capture(sessionJobs: SessionJobs, jobs: readonly Job[]): void;
  /** The capture under way for a job; null = there is none. */
  capturing(jobID: string): Promise<TreeBase | null> | null;
  /** Whether the job's sandbox has the project's files, or will have them if it can be made. */
  hasProject(sessionJobs: SessionJobs, job: Job): Promise<boolean>;
  /**
   * Prepares what a new sandbox of the job starts from, and records the job's base.
   * @returns a snapshot id; null = the bare environment
   * @throws PluginError `workspace_failed`, `setup_failed`, and what making a sandbox may throw
   */
  startingPoint(
    sessionJobs: SessionJobs,
    job: Job,
    provider: SandboxProvider,
    signal: AbortSignal,
    onStep?: StepListener,
  ): Promise<string | null>;
  /** What a new job of the environment would start from now; for a sandbox that is made before there is the job. @throws as above */
  freshStart(request: Omit<StartingRequest, "tree">): Promise<FreshStart>;
  /**
   * Records the job's base, and brings a fresh sandbox's files to it.
   * @param tree the files that it has; null = none
   * @param onOldFiles told those that may be read until then, if others are on their way
   * @returns false where that cannot be done: it has files of another kind
   * @throws as above
   */
  bringUpToDate(
    sessionJobs: SessionJobs,
    job: Job,
    sandbox: Sandbox,
    tree: WarmTree | null,
    onOldFiles: (files: OldFiles) => void,
  ): Promise<boolean>;
  /** Forgets a prepared snapshot that no sandbox could start from: it is prepared anew next time. */
  forgetSnapshot(snapshotID: string): void;
  /** The project as it is now; null where there is none. @throws PluginError `workspace_failed` */
  current(): Promise<TreeBase | null>;
  /** The store of the project that jobs start from; null where there is none. */
  store(): Promise<ProjectStore | null>;
  /** The folder of the project that the host is open in, relative to its root; "" = the root, or there is no project. */
  openFolder(): Promise<string>;
  /** Forgets everything that is kept of a deleted job. */
  forgetJob(job: Job): Promise<void>;
  /** Aborts preparations, and waits until they have ended. */
  suspend(): Promise<void>;
}

export interface ProjectTreesDeps {
  /** A folder of the project, absolute; null = there is no project. */
  readonly directory: string | null;
  readonly stateDir: string;
  readonly environments: Readonly<Record<string, Environment>>;
  readonly git: Git;
  readonly pool: PoolStore;
  readonly limits: Pick<Limits, "rates">;
  readonly images: Pick<Environments, "get" | "forget">;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
}

export interface FreshStart {
  /** null = the bare environment. */
  readonly snapshotID: string | null;
  /** Snapshot of the environment's image below it; null = its environment has no set-up. */
  readonly image: string | null;
  readonly tree: WarmTree | null;
}

interface Opened {
  readonly store: ProjectStore | null;
  /** Why there is no project, one sentence each, for the notes of jobs that wanted its files. */
  readonly notes: readonly string[];
}

export function createProjectTrees(deps: ProjectTreesDeps): ProjectTrees {
  const { pool, clock, log } = deps;
  const captured = new Map<string, Promise<TreeBase | null>>();
  const ending = new AbortController();
  const prepared = createPreparedTrees({ ...deps, ending: ending.signal });
  const keptWork = createKeptWork({ ...deps, store: () => store() });
  const starts = { images: deps.images, prepared };
  let opening: Promise<Opened> | null = null;

  const open = () => {
    opening ??= openStore().catch((error) => {
      opening = null; // git may be installed meanwhile
      throw toPluginError(error, `look into the project ${deps.directory}`);
    });
    return opening;
  };
  const store = async () => (await open()).store;

  async function openStore(): Promise<Opened> {
    if (deps.directory === null) return { store: null, notes: [] };
    const found = await findProject(deps.git, deps.directory, await readHomes());
    if (found.kind === "none") return { store: null, notes: [found.why] };
    return { store: await openProjectStore(deps.git, deps.stateDir, found), notes: [] };
  }

  async function captureNow(): Promise<TreeBase | null> {
    const project = await store();
    if (!project) return null;
    try {
      return await captureTree(project, deps.ids("tree"));
    } catch (error) {
      throw toPluginError(error, `take the files of ${project.root}`);
    }
  }

  const wantsProject = ({ task }: Job): boolean =>
    task.snapshotID === null &&
    (task.source === undefined || task.source.kind === "image") &&
    deps.environments[task.environment]?.workspace === "project";

  /** The base of a job: the recorded one, that of the job whose snapshot it starts from, or the capture under way. */
  async function baseOf(sessionJobs: SessionJobs, job: Job): Promise<TreeBase | null> {
    if (job.base) return job.base;
    const bases = wantsProject(job)
      ? { base: await capturedFor(job.id), formerBases: [] }
      : inherited(sessionJobs, job);
    const notes = wantsProject(job) && bases.base === null ? (await open()).notes : [];
    sessionJobs.update(job.id, (current) => withNotes({ ...current, ...bases }, notes));
    return bases.base;
  }

  /** One that has failed fails the job that waits for it once: when that is woken, the files are taken anew. */
  async function capturedFor(jobID: string): Promise<TreeBase | null> {
    try {
      return await (captured.get(jobID) ?? captureNow());
    } finally {
      captured.delete(jobID);
    }
  }

  /** What the work in the job's snapshot is based on; of one that an earlier version took, its job in this session knows. */
  function inherited(sessionJobs: SessionJobs, { task: { snapshotID } }: Job): SnapshotBases {
    const known = snapshotID === null ? null : pool.basesOf(snapshotID);
    if (known) return known;
    const origin = sessionJobs.get(pool.snapshotNamed(snapshotID ?? "")?.jobID ?? "");
    return { base: origin?.base ?? null, formerBases: origin?.formerBases ?? [] };
  }

  /** Never throws: a job whose base is not recorded here has it recorded when it starts. */
  function recordBase(sessionJobs: SessionJobs, jobID: string, base: TreeBase | null): void {
    try {
      sessionJobs.update(jobID, (job) => (job.base ? job : { ...job, base }));
      captured.delete(jobID);
    } catch (error) {
      log("warn", "could not record the project files that a job starts from", { jobID, reason: String(error) });
    }
  }

  /** Charges a preparation to the job that caused it. Never throws: what is prepared is of use without it. @returns USD */
  function chargeFor(sessionJobs: SessionJobs, job: Job, ms: number): number {
    try {
      const usd = usdOver(deps.limits.rates(job, null).most, ms);
      sessionJobs.update(job.id, (current) => ({ ...current, compute: addUsd(current.compute, usd) }));
      return usd;
    } catch (error) {
      log("warn", "could not charge a preparation", { jobID: job.id, reason: String(error) });
      return 0;
    }
  }

  /** Asking takes several git commands, one after another, and hundreds of jobs may start within seconds. */
  const personOf = memoizeBriefly({ forMs: IDENTITY_MS, clock }, ({ root }: ProjectStore) => root, identityOf);

  async function treeOf(base: TreeBase | null): Promise<StartingRequest["tree"]> {
    const project = base && (await store());
    if (!project || !base) return null;
    const { name, email } = await personOf(project);
    return { base, project, identity: { name, email } };
  }

  return {
    capture(sessionJobs, jobs) {
      const wanting = jobs.filter((job) => job.state.kind === "queued" && job.base === null && wantsProject(job));
      if (wanting.length === 0) return;
      const taking = captureNow();
      for (const { id } of wanting) captured.set(id, taking);
      taking.then(
        (base) => {
          if (ending.signal.aborted) return;
          for (const { id } of wanting) recordBase(sessionJobs, id, base);
        },
        (error) => log("warn", "could not take a project's files", { reason: String(error) }), // the jobs that wait for it fail with the reason
      );
    },
    capturing: (jobID) => captured.get(jobID) ?? null,
    async hasProject(sessionJobs, job) {
      if (job.base) return true;
      return wantsProject(job) ? (await store()) !== null : inherited(sessionJobs, job).base !== null;
    },
    async startingPoint(sessionJobs, job, provider, signal, onStep) {
      const base = await baseOf(sessionJobs, job);
      if (job.task.snapshotID !== null) return job.task.snapshotID;
      const tree = await treeOf(base);
      if (base && !tree) throw new PluginError("workspace_failed", `The project of ${job.id} is gone.`);
      const charge = (ms: number) => chargeFor(sessionJobs, job, ms);
      const usdPerHour = deps.limits.rates(job, null).most;
      const request = { tree, job, provider, charge, usdPerHour, onStep, signal };
      const { snapshotID, notes } = await prepareStart(starts, request);
      if (notes.length > 0) sessionJobs.update(job.id, (current) => withNotes(current, notes));
      return snapshotID;
    },
    async freshStart(request) {
      const base = wantsProject(request.job) ? await captureNow() : null;
      const tree = await treeOf(base);
      // A set-up that has failed is run again for jobs only.
      const job = { ...request.job, createdAt: 0 };
      const { snapshotID, notes, prepared: made } = await prepareStart(starts, { ...request, job, tree });
      const image = made ? (made.environment ?? null) : snapshotID;
      return { snapshotID, image, tree: base && made && toWarmTree(base, made, notes) };
    },
    async bringUpToDate(sessionJobs, job, sandbox, tree, onOldFiles) {
      const base = await baseOf(sessionJobs, job);
      const project = base && (await store());
      if (!project || !base || !tree) return base === null && tree === null;
      if (tree.notes.length > 0) sessionJobs.update(job.id, (current) => withNotes(current, tree.notes));
      const request = { store: project, base, sandbox, clock, scratchID: deps.ids("send") };
      return bringToBase(request, tree, onOldFiles);
    },
    forgetSnapshot(snapshotID) {
      deps.images.forget(snapshotID);
      pool.deletePreparedTree(snapshotID);
      pool.deleteLineage(snapshotID);
    },
    current: captureNow,
    store,
    async openFolder() {
      const project = await store();
      if (!project || deps.directory === null) return "";
      const folder = relative(await realPathOrSelf(project.root), await realPathOrSelf(deps.directory));
      return folder.startsWith("..") ? "" : folder.split(sep).join("/");
    },
    ...keptWork,
    async forgetJob(job) {
      captured.delete(job.id);
      if (!job.base) return;
      const kept = { folder: storeFolder(deps.stateDir, job.base.project) };
      await removeChanges(kept, job.id);
      await forgetMeasured(kept, job.id);
      await forgetBranch(kept, job.id);
    },
    async suspend() {
      ending.abort();
      await Promise.allSettled([prepared.settled(), ...captured.values()]);
    },
  };
}

const IDENTITY_MS = 2_000;

function toPluginError(error: unknown, doing: string): PluginError {
  if (error instanceof PluginError) return error;
  const { code, message } = toFailure(error, "workspace_failed", doing);
  return new PluginError(code, `${message}. Set the environment's "workspace" to "empty" to start without files.`, {
    cause: error,
    retryable: false,
  });
}
