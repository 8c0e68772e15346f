import type { Environment } from "../../config/environment.ts";
import type { EnvironmentImage, ImageTree } from "../../core/environment-image.ts";
import type { Job } from "../../core/job.ts";
import { toTags } from "../../core/sandbox-tags.ts";
import { hasExpired, isDue } from "../../core/snapshot-expiry.ts";
import { environmentOf } from "../../core/task-source.ts";
import { SharedSteps, type StepListener } from "../../sandboxes/creation-steps.ts";
import { toMachineSpec, toSandboxSpec } from "../../sandboxes/environment.ts";
import type { Sandbox, SandboxProvider } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import { fileNameFor } from "../../workspace/paths.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";
import type { Person } from "../../workspace/project/identity.ts";
import type { ProjectStore } from "../../workspace/project/project-store.ts";
import { sendTree } from "../../workspace/sandbox/send-tree.ts";
import { createGivenBack } from "../environments/given-back.ts";
import { tryAgain } from "../environments/try-again.ts";
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
  readonly identity: Person;
  /** The environment's image that it starts from; null = its environment has no set-up. */
  readonly image: EnvironmentImage | null;
  readonly job: Job;
  readonly provider: SandboxProvider;
  /** Adds what a sandbox costs that exists for so long to what the job has cost, which caused the preparation. */
  readonly charge: (ms: number) => void;
  /** What it adds for an hour. */
  readonly usdPerHour: number;
  /** Told what the preparation waits for. */
  readonly onStep?: StepListener | undefined;
}

interface Preparation extends TreeRequest {
  readonly environment: Environment;
  /** Cache key of this exact tree. */
  readonly key: string;
  /** Cache key of everything but the files: provider, project, image, set-up, workdir and identity. */
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

/** Trees kept per `place`: the newest, and the one before, from which a job may just be starting. */
const KEPT = 2;

export function createPreparedTrees(deps: PreparedTreesDeps): PreparedTrees {
  const { pool, clock, log, ending } = deps;
  const preparing = new Map<string, { readonly made: Promise<PreparedTree>; readonly steps: SharedSteps }>();
  const givenBack = createGivenBack(deps);

  async function get(request: TreeRequest): Promise<PreparedTree> {
    const { base, identity, image: built, job, provider, onStep } = request;
    const environment = environmentOf(deps.environments, job.task);
    if (!environment)
      throw new PluginError("workspace_failed", `The environment "${job.task.environment}" is no longer configured.`);
    const { image, workdir } = environment;
    const placeOf = (person: Person) =>
      fileNameFor(
        JSON.stringify([provider.name, base.project, image, workdir, person, ...(built ? [built.snapshotID] : [])]),
      );
    const place = placeOf(identity);
    const key = keyOf(place, base);
    const inImage = built?.tree ? toPrepared(built, built.tree, placeOf(built.tree.identity)) : [];
    const known = [...inImage, ...pool.preparedTrees(place)].filter((one) => !hasExpired(one, clock.now()));
    const ready = known.findLast((one) => one.key === key);
    if (ready && !isDue(ready, clock.now())) return ready;
    const current = preparing.get(key);
    if (current) return current.steps.follow(current.made, onStep);
    const steps = new SharedSteps();
    const preparation = { ...request, environment, key, place, onStep: steps.tell };
    // Of plain files the difference is sent only to what set-up has left, whose own files must stay.
    const former = known.findLast(({ form }) => form === "repository") ?? inImage[0] ?? null;
    const made = patiently(preparation, former)
      .catch((error) => {
        if (former === null || (built && former === inImage[0]) || ending.aborted) throw error;
        log("warn", "could not send the difference of a project, sending all of it", { reason: String(error) });
        return patiently(preparation, inImage[0] ?? null);
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

  const patiently = (tree: Preparation, former: PreparedTree | null): Promise<PreparedTree> =>
    tryAgain(deps, "preparing a project's files", () => prepare(tree, former));

  /** @param former the snapshot that the sandbox starts from, so that only the difference is sent; null = everything is */
  async function prepare(tree: Preparation, former: PreparedTree | null): Promise<PreparedTree> {
    const { project, base, identity, environment, image, job, provider, key, place } = tree;
    // Garbage collection finds it by the job's id. The job's own sandbox is named after that id too, hence the suffix.
    const name = `${job.id}-tree`;
    const tags = { ...toTags(job, pool.identity()), tree: key };
    const bare = toSandboxSpec(environment, {}, { name, tags, snapshotID: former?.snapshotID ?? null });
    const extra = image && { environment: image.snapshotID, emptyFolders: base.emptyFolders };
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
    pool.saveSandboxCost(sandbox.id, { usdPerHour: tree.usdPerHour, chargedTo: madeAt });
    if (former) pool.saveOrigin(sandbox.id, former.snapshotID);
    const stop = () => void sandbox.terminate().catch(() => {}); // the transfer under way then fails
    ending.addEventListener("abort", stop);
    try {
      const from = former && {
        ...former,
        emptyFolders: image ? (former.emptyFolders ?? []) : null, // without set-up all folders are the project's
      };
      const scratchID = deps.ids("send");
      const form = await sendTree({ store: project, base, from, identity, sandbox, clock, scratchID });
      return await takeSnapshot(provider, sandbox, { key, place, commit: base.commit, form, ...extra });
    } finally {
      ending.removeEventListener("abort", stop);
      givenBack.give(sandbox, job.id, tree.charge, madeAt);
    }
  }

  async function takeSnapshot(
    provider: SandboxProvider,
    sandbox: Sandbox,
    what: Omit<PreparedTree, "snapshotID" | "createdAt" | "expiresAt">,
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
      await givenBack.settled();
    },
  };
}

const keyOf = (place: string, { commit, emptyFolders }: Pick<TreeBase, "commit" | "emptyFolders">): string =>
  fileNameFor(JSON.stringify([place, commit, emptyFolders]));

/** An environment's image as the tree that is in it. */
const toPrepared = (
  { snapshotID, builtAt, expiresAt }: EnvironmentImage,
  { commit, emptyFolders, form }: ImageTree,
  place: string,
): PreparedTree[] => [
  {
    key: keyOf(place, { commit, emptyFolders }),
    ...{ place, commit, form, snapshotID, createdAt: builtAt, expiresAt, environment: snapshotID, emptyFolders },
  },
];

function snapshotsOf(provider: SandboxProvider) {
  if (provider.snapshots) return provider.snapshots;
  throw new PluginError("workspace_failed", `The ${provider.name} provider cannot take snapshots.`, {
    retryable: false,
  });
}
