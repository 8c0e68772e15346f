import type { Environment } from "../../config/environment.ts";
import type { Job } from "../../core/job.ts";
import { toTags } from "../../core/sandbox-tags.ts";
import { hasExpired, isDue } from "../../core/snapshot-expiry.ts";
import { environmentOf } from "../../core/task-source.ts";
import { SharedSteps, type StepListener } from "../../sandboxes/creation-steps.ts";
import { toMachineSpec, toSandboxSpec } from "../../sandboxes/environment.ts";
import type { Sandbox, SandboxProvider } from "../../sandboxes/port.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import { memoizeBriefly } from "../../shared/memoize-briefly.ts";
import { fileNameFor } from "../../workspace/paths.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";
import { identityOf, type Person } from "../../workspace/project/identity.ts";
import type { ProjectStore } from "../../workspace/project/project-store.ts";
import { sendTree } from "../../workspace/sandbox/send-tree.ts";
import { removeSnapshot } from "../snapshots/remove-snapshot.ts";
import type { PoolStore } from "../store/pool-store.ts";
import type { PreparedTree } from "../store/snapshot-store.ts";

/** Snapshots with a project's tree in place. The first job that needs a tree prepares it for all others. */
export interface PreparedTrees {
  /** @throws PluginError `workspace_failed`, and what making a sandbox may throw */
  get(request: TreeRequest): Promise<PreparedTree>;
  /** Resolves when no preparation is under way. */
  settled(): Promise<unknown>;
}

export interface TreeRequest {
  readonly project: ProjectStore;
  readonly base: TreeBase;
  readonly job: Job;
  readonly provider: SandboxProvider;
  /** Adds what a sandbox costs that exists for so long to what the job has cost, which caused the preparation. */
  readonly charge: (ms: number) => void;
  /** Told what the preparation waits for. */
  readonly onStep?: StepListener | undefined;
}

interface Preparation extends TreeRequest {
  readonly identity: Person;
  readonly environment: Environment;
  /** Cache key of this exact tree. */
  readonly key: string;
  /** Cache key of everything but the files: provider, project, image, workdir and identity. */
  readonly place: string;
}

export interface PreparedTreesDeps {
  readonly environments: Readonly<Record<string, Environment>>;
  readonly pool: PoolStore;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
  /** Aborted when nothing more is to be prepared. */
  readonly ending: AbortSignal;
}

const RETRY_DELAYS_MS = [1_000, 4_000];

const IDENTITY_MS = 2_000;

/** Trees kept per `place`: the newest, and the one before, from which a job may just be starting. */
const KEPT = 2;

export function createPreparedTrees(deps: PreparedTreesDeps): PreparedTrees {
  const { pool, clock, log, ending } = deps;
  const preparing = new Map<string, { readonly made: Promise<PreparedTree>; readonly steps: SharedSteps }>();
  /** Asking takes several git commands, one after another, and hundreds of jobs may start within seconds. */
  const personOf = memoizeBriefly({ forMs: IDENTITY_MS, clock }, ({ root }: ProjectStore) => root, identityOf);
  /** Sandboxes that the provider is being asked to end. */
  const giving = new Set<Promise<void>>();

  async function get({ project, base, job, provider, charge, onStep }: TreeRequest): Promise<PreparedTree> {
    const environment = environmentOf(deps.environments, job.task);
    if (!environment)
      throw new PluginError("workspace_failed", `The environment "${job.task.environment}" is no longer configured.`);
    const { name, email } = await personOf(project);
    const identity: Person = { name, email };
    const { image, workdir } = environment;
    const place = fileNameFor(JSON.stringify([provider.name, base.project, image, workdir, identity]));
    const key = fileNameFor(JSON.stringify([place, base.commit, base.emptyFolders]));
    const known = pool.preparedTrees(place).filter((one) => !hasExpired(one, clock.now()));
    const ready = known.findLast((one) => one.key === key);
    if (ready && !isDue(ready, clock.now())) return ready;
    const current = preparing.get(key);
    if (current) return current.steps.follow(current.made, onStep);
    const steps = new SharedSteps();
    const preparation = { project, base, identity, environment, job, provider, charge, key, place, onStep: steps.tell };
    const made = patiently(preparation, known.at(-1) ?? null)
      .catch((error) => {
        if (known.length === 0 || ending.aborted) throw error;
        log("warn", "could not send the difference of a project, sending all of it", { reason: String(error) });
        return patiently(preparation, null);
      })
      .catch((error) => {
        if (!ready || ending.aborted) throw error;
        log("warn", "could not renew a project's files before they expire", { reason: String(error) });
        return ready;
      })
      .finally(() => preparing.delete(key));
    preparing.set(key, { made, steps });
    return steps.follow(made, onStep);
  }

  /** Like any sandbox's creation, it is tried again where that may help: all jobs of the project wait for it. */
  async function patiently(tree: Preparation, former: PreparedTree | null): Promise<PreparedTree> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await prepare(tree, former);
      } catch (error) {
        const delayMs = RETRY_DELAYS_MS[attempt];
        const mayHelp = error instanceof PluginError && error.retryable === true;
        if (!mayHelp || delayMs === undefined || ending.aborted) throw error;
        log("warn", "preparing a project's files failed, trying again", { attempt, reason: error.message });
        await sleep(clock, delayMs, ending);
        if (ending.aborted) throw error;
      }
    }
  }

  /** @param former the snapshot that the sandbox starts from, so that only the difference is sent; null = everything is */
  async function prepare(tree: Preparation, former: PreparedTree | null): Promise<PreparedTree> {
    const { project, base, identity, environment, job, provider, key, place } = tree;
    // Garbage collection finds it by the job's id. The job's own sandbox is named after that id too, hence the suffix.
    const name = `${job.id}-tree`;
    const tags = { ...toTags(job, pool.identity()), tree: key };
    const bare = toSandboxSpec(environment, {}, { name, tags, snapshotID: former?.snapshotID ?? null });
    const machine = {
      ...toMachineSpec(environment),
      secrets: [],
      volumes: {},
      buckets: {},
      ports: [],
      proxy: null,
    };
    const sandbox = await provider.create({ ...bare, env: {}, network: "blocked", machine }, ending, tree.onStep);
    const madeAt = sandbox.billedSince ?? clock.now();
    pool.insertSandbox(sandbox.id, provider.name, job.id, job.orchestrator, clock.now());
    if (former) pool.saveOrigin(sandbox.id, former.snapshotID);
    const stop = () => void sandbox.terminate().catch(() => {}); // the transfer under way then fails
    ending.addEventListener("abort", stop);
    try {
      const from = former?.form === "repository" ? former.commit : null;
      const scratchID = deps.ids("send");
      const form = await sendTree({ store: project, base, from, identity, sandbox, clock, scratchID });
      return await takeSnapshot(provider, sandbox, { key, place, commit: base.commit, form });
    } finally {
      ending.removeEventListener("abort", stop);
      give(sandbox, tree, madeAt);
    }
  }

  /** Ends a sandbox that has done its part. The jobs that wait for its snapshot do not wait for that. */
  function give(sandbox: Sandbox, { job, charge }: TreeRequest, madeAt: number): void {
    const now = clock.now();
    const isClosing = () => ending.aborted; // the state files may be closed; garbage collection sees that it has ended
    if (!isClosing()) charge(now - madeAt);
    const record = () => {
      if (isClosing()) return;
      charge(clock.now() - now);
      pool.deleteSandbox(sandbox.id);
    };
    const accepted = sandbox.terminate().then(
      () => void sandbox.ended.then(record),
      // It stays recorded, so that the next garbage collection ends it.
      (error) =>
        log("warn", "could not end a sandbox", { jobID: job.id, sandboxID: sandbox.id, reason: String(error) }),
    );
    giving.add(accepted);
    void accepted.finally(() => giving.delete(accepted));
  }

  async function takeSnapshot(
    provider: SandboxProvider,
    sandbox: Sandbox,
    what: Pick<PreparedTree, "key" | "place" | "commit" | "form">,
  ): Promise<PreparedTree> {
    const { id, expiresAt } = await snapshotsOf(provider).take(sandbox, null);
    const record: PreparedTree = { ...what, snapshotID: id, createdAt: clock.now(), expiresAt };
    pool.savePreparedTree(record);
    pool.saveLineage({ id, provider: provider.name }, sandbox.id, expiresAt);
    const removal = { pool, store: async () => snapshotsOf(provider), now: clock.now() };
    for (const old of pool.preparedTrees(what.place).slice(0, -KEPT)) {
      pool.deletePreparedTree(old.snapshotID);
      await removeSnapshot(removal, { id: old.snapshotID, provider: provider.name });
    }
    return record;
  }

  return {
    get,
    async settled() {
      await Promise.allSettled([...preparing.values()].map(({ made }) => made));
      await Promise.allSettled(giving);
    },
  };
}

function snapshotsOf(provider: SandboxProvider) {
  if (provider.snapshots) return provider.snapshots;
  throw new PluginError("workspace_failed", `The ${provider.name} provider cannot take snapshots.`, {
    retryable: false,
  });
}
