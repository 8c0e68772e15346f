import { homedir } from "node:os";
import type { Environment } from "../config/environment.ts";
import { toMachineSpec, toSandboxSpec } from "../sandboxes/environment.ts";
import type { Sandbox, SandboxProvider } from "../sandboxes/port.ts";
import type { Clock } from "../shared/clock.ts";
import { LabError, toFailure } from "../shared/error-code.ts";
import type { IdGenerator } from "../shared/ids.ts";
import type { Log } from "../shared/log.ts";
import { captureTree, type TreeBase } from "../workspace/capture-tree.ts";
import { gatherWork, removeWork } from "../workspace/gather-work.ts";
import type { Git } from "../workspace/git.ts";
import { forgetBranch } from "../workspace/make-branch.ts";
import { nameFor } from "../workspace/paths.ts";
import { openProjectStore, type ProjectStore, storeFolder } from "../workspace/project-store.ts";
import { identityOf, sendTree } from "../workspace/send-tree.ts";
import type { Job } from "./job.ts";
import type { JobBook } from "./job-book.ts";
import type { PoolStore, PreparedTree } from "./store/pool-store.ts";

/** Brings the user's project into sandboxes: taken when a job is started, sent once for all jobs that start from it. */
export interface ProjectTrees {
  /** Takes the project as it is now for these new jobs; does not wait. */
  capture(book: JobBook, jobs: readonly Job[]): void;
  /**
   * What a new sandbox of the job is made from. Its base is recorded with the job.
   * @returns a snapshot id; null = the bare environment
   * @throws LabError `workspace_failed`, and what making a sandbox may throw
   */
  startingPoint(book: JobBook, job: Job, provider: SandboxProvider, signal: AbortSignal): Promise<string | null>;
  /** A snapshot that could not be started from: it is prepared anew next time. */
  forgetSnapshot(snapshotID: string): void;
  /** The project as it is now; null where there is none. @throws LabError `workspace_failed` */
  current(): Promise<TreeBase | null>;
  /** The store of the project that jobs start from; null where there is none. */
  store(): Promise<ProjectStore | null>;
  /** Takes a job's work out of its sandbox, which is about to be given up. Never rejects. */
  keep(job: Job, sandbox: Sandbox): Promise<void>;
  /** Forgets what was taken out of a job's sandboxes. */
  forgetWork(job: Job): Promise<void>;
  /** Forgets all that is kept of a job, which is no more. */
  forgetJob(job: Job): Promise<void>;
  /** Ends what is being prepared. */
  suspend(): Promise<void>;
}

export interface ProjectTreesDeps {
  /** Absolute; somewhere in the project. null = there is no project. */
  readonly directory: string | null;
  readonly stateDir: string;
  readonly environments: Readonly<Record<string, Environment>>;
  readonly git: Git;
  readonly pool: PoolStore;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
}

/** Of one project in one environment: the one in use, and the one before, from which a job may just be starting. */
const KEPT = 2;

export function createProjectTrees(deps: ProjectTreesDeps): ProjectTrees {
  const { pool, clock, log } = deps;
  const captured = new Map<string, Promise<TreeBase | null>>();
  const preparing = new Map<string, Promise<PreparedTree>>();
  const ending = new AbortController();
  let opening: Promise<ProjectStore | null> | null = null;

  const store = () => {
    opening ??= openStore().catch((error) => {
      opening = null; // git may be installed meanwhile
      throw toLabError(error, `look into the project ${deps.directory}`);
    });
    return opening;
  };

  /** A home directory is no project: nobody means to send all of it anywhere. */
  async function openStore(): Promise<ProjectStore | null> {
    if (deps.directory === null) return null;
    const opened = await openProjectStore(deps.git, deps.stateDir, deps.directory);
    return !opened.isRepository && [homedir(), "/"].includes(opened.root) ? null : opened;
  }

  async function captureNow(): Promise<TreeBase | null> {
    const project = await store();
    if (!project) return null;
    try {
      return await captureTree(project, deps.ids("tree"));
    } catch (error) {
      throw toLabError(error, `take the files of ${project.root}`);
    }
  }

  const wantsProject = ({ task }: Job): boolean =>
    task.snapshotID === null && deps.environments[task.environment]?.workspace === "project";

  /** The base of a job: recorded, or the one of the job whose snapshot it starts from, or being taken. */
  async function baseOf(book: JobBook, job: Job): Promise<TreeBase | null> {
    if (job.base) return job.base;
    const bases = wantsProject(job)
      ? { base: await (captured.get(job.id) ?? captureNow()), formerBases: [] }
      : inherited(book, job);
    captured.delete(job.id);
    book.update(job.id, (current) => ({ ...current, ...bases }));
    return bases.base;
  }

  function inherited(book: JobBook, { task, orchestrator }: Job): Pick<Job, "base" | "formerBases"> {
    const snapshot = pool.snapshots(orchestrator).find(({ id }) => id === task.snapshotID);
    const origin = snapshot && book.get(snapshot.jobID);
    return { base: origin?.base ?? null, formerBases: origin?.formerBases ?? [] };
  }

  async function prepared(job: Job, base: TreeBase, provider: SandboxProvider): Promise<PreparedTree> {
    const project = await store();
    const environment = deps.environments[job.task.environment];
    if (!project || !environment) throw new LabError("workspace_failed", `The project of ${job.id} is gone.`);
    const identity = await identityOf(project);
    const { image, workdir } = environment;
    const place = nameFor(JSON.stringify([provider.name, base.project, image, workdir, identity]));
    const key = nameFor(JSON.stringify([place, base.commit, base.emptyFolders]));
    const known = pool.preparedTrees(place);
    const ready = known.find((one) => one.key === key);
    if (ready) return ready;
    const current = preparing.get(key);
    if (current) return current;
    const made = prepare(known.at(-1) ?? null)
      .catch((error) => {
        if (known.length === 0 || ending.signal.aborted) throw error;
        log("warn", "could not send the difference of a project, sending all of it", { reason: String(error) });
        return prepare(null);
      })
      .finally(() => preparing.delete(key));
    preparing.set(key, made);
    return made;

    async function prepare(former: PreparedTree | null): Promise<PreparedTree> {
      // A job's id finds it for whoever sweeps; its own sandbox comes later, so the name is free but for this suffix.
      const name = {
        name: `${job.id}-tree`,
        tags: { job: job.id, session: job.orchestrator, lab: pool.identity(), tree: key },
      };
      const bare = toSandboxSpec(environment as Environment, {}, { ...name, snapshotID: former?.snapshotID ?? null });
      const machine = {
        ...toMachineSpec(environment as Environment),
        gpus: [],
        secrets: [],
        volumes: {},
        buckets: {},
        ports: [],
      };
      const sandbox = await provider.create({ ...bare, env: {}, network: "blocked", machine }, ending.signal);
      pool.insertSandbox(sandbox.id, provider.name, job.id, job.orchestrator, clock.now());
      const stop = () => void sandbox.terminate().catch(() => {}); // what is being sent fails then
      ending.signal.addEventListener("abort", stop);
      try {
        const from = former?.form === "repository" ? former.commit : null;
        const nonce = deps.ids("send");
        const form = await sendTree({ store: project as ProjectStore, base, from, identity, sandbox, clock, nonce });
        return await freeze(sandbox, { key, place, commit: base.commit, form });
      } finally {
        ending.signal.removeEventListener("abort", stop);
        await sandbox.terminate();
        pool.deleteSandbox(sandbox.id);
      }
    }

    async function freeze(sandbox: Sandbox, what: Pick<PreparedTree, "key" | "place" | "commit" | "form">) {
      const { id } = await snapshotsOf(provider).take(sandbox, null);
      const record: PreparedTree = { ...what, snapshotID: id, createdAt: clock.now() };
      pool.savePreparedTree(record);
      for (const old of pool.preparedTrees(place).slice(0, -KEPT)) {
        pool.deletePreparedTree(old.snapshotID);
        await snapshotsOf(provider).remove(old.snapshotID);
      }
      return record;
    }
  }

  return {
    capture(book, jobs) {
      const wanting = jobs.filter((job) => job.state.kind === "queued" && wantsProject(job));
      if (wanting.length === 0) return;
      const taking = captureNow();
      for (const { id } of wanting) captured.set(id, taking);
      taking.then(
        (base) => {
          if (ending.signal.aborted) return;
          for (const { id } of wanting) {
            captured.delete(id);
            book.update(id, (job) => (job.base ? job : { ...job, base }));
          }
        },
        (error) => log("warn", "could not take a project's files", { reason: String(error) }), // its jobs will say so
      );
    },
    async startingPoint(book, job, provider, signal) {
      const base = await baseOf(book, job);
      if (!base || job.task.snapshotID !== null) return job.task.snapshotID;
      return (await unlessAborted(prepared(job, base, provider), signal)).snapshotID;
    },
    forgetSnapshot: (snapshotID) => pool.deletePreparedTree(snapshotID),
    current: captureNow,
    store,
    async keep(job, sandbox) {
      const { base, formerBases, id: jobID } = job;
      try {
        const project = base && (await store());
        if (project?.root === base?.project && project && base)
          await gatherWork({ store: project, base, formerBases, jobID, sandbox, clock, nonce: deps.ids("work") });
      } catch (error) {
        log("warn", "could not keep a job's work apart from its snapshot", { jobID, reason: String(error) });
        await this.forgetWork(job); // an older state of it would be taken for the newest
      }
    },
    async forgetWork({ id, base }) {
      if (base) await removeWork({ folder: storeFolder(deps.stateDir, base.project) }, id);
    },
    async forgetJob(job) {
      await this.forgetWork(job);
      if (job.base) await forgetBranch({ folder: storeFolder(deps.stateDir, job.base.project) }, job.id);
    },
    async suspend() {
      ending.abort();
      await Promise.allSettled([...preparing.values(), ...captured.values()]);
    },
  };
}

function snapshotsOf(provider: SandboxProvider) {
  if (provider.snapshots) return provider.snapshots;
  throw new LabError("workspace_failed", `The ${provider.name} provider cannot take snapshots.`, { retryable: false });
}

/** What is prepared is prepared for several jobs: one of them may stop waiting without stopping the others. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new LabError("cancelled", "The job was stopped before its files were in place."));
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

function toLabError(error: unknown, doing: string): LabError {
  if (error instanceof LabError) return error;
  const { code, message } = toFailure(error, "workspace_failed", doing);
  return new LabError(code, `${message}. Set the environment's "workspace" to "empty" to start without files.`, {
    cause: error,
    retryable: false,
  });
}
