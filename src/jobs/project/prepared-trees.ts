import type { Environment } from "../../config/environment.ts";
import { toMachineSpec, toSandboxSpec } from "../../sandboxes/environment.ts";
import type { Sandbox, SandboxProvider } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import { fileNameFor } from "../../workspace/paths.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";
import type { ProjectStore } from "../../workspace/project/project-store.ts";
import { type Identity, identityOf, sendTree } from "../../workspace/sandbox/send-tree.ts";
import type { Job } from "../core/job.ts";
import type { PoolStore, PreparedTree } from "../store/pool-store.ts";

/** Snapshots with a project's tree in place: made once, by whichever job is first, for all that start from that tree. */
export interface PreparedTrees {
  /** @throws PluginError `workspace_failed`, and what making a sandbox may throw */
  of(request: TreeRequest): Promise<PreparedTree>;
  /** Resolves when what was being prepared has ended. */
  settled(): Promise<unknown>;
}

export interface TreeRequest {
  readonly project: ProjectStore;
  readonly base: TreeBase;
  readonly job: Job;
  readonly provider: SandboxProvider;
}

interface Preparation extends TreeRequest {
  readonly identity: Identity;
  readonly environment: Environment;
  /** Of this tree in this place, and of the place: project, provider, image. */
  readonly key: string;
  readonly place: string;
}

export interface PreparedTreesDeps {
  readonly environments: Readonly<Record<string, Environment>>;
  readonly pool: PoolStore;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
  /** Nothing more is to be prepared. */
  readonly ending: AbortSignal;
}

/** Of one project in one environment: the one in use, and the one before, from which a job may just be starting. */
const KEPT = 2;

export function createPreparedTrees(deps: PreparedTreesDeps): PreparedTrees {
  const { pool, clock, log, ending } = deps;
  const preparing = new Map<string, Promise<PreparedTree>>();

  async function of({ project, base, job, provider }: TreeRequest): Promise<PreparedTree> {
    const environment = deps.environments[job.task.environment];
    if (!environment)
      throw new PluginError("workspace_failed", `The environment "${job.task.environment}" is no longer configured.`);
    const identity = await identityOf(project);
    const { image, workdir } = environment;
    const place = fileNameFor(JSON.stringify([provider.name, base.project, image, workdir, identity]));
    const key = fileNameFor(JSON.stringify([place, base.commit, base.emptyFolders]));
    const known = pool.preparedTrees(place);
    const ready = known.find((one) => one.key === key);
    if (ready) return ready;
    const current = preparing.get(key);
    if (current) return current;
    const from = { project, base, identity, environment, job, provider, key, place };
    const made = prepare(from, known.at(-1) ?? null)
      .catch((error) => {
        if (known.length === 0 || ending.aborted) throw error;
        log("warn", "could not send the difference of a project, sending all of it", { reason: String(error) });
        return prepare(from, null);
      })
      .finally(() => preparing.delete(key));
    preparing.set(key, made);
    return made;
  }

  /** @param former what the sandbox is made from, so that the difference is sent */
  async function prepare(tree: Preparation, former: PreparedTree | null): Promise<PreparedTree> {
    const { project, base, identity, environment, job, provider, key, place } = tree;
    // A job's id finds it for whoever sweeps; its own sandbox comes later, so the name is free but for this suffix.
    const name = {
      name: `${job.id}-tree`,
      tags: { job: job.id, session: job.orchestrator, lab: pool.identity(), tree: key },
    };
    const bare = toSandboxSpec(environment, {}, { ...name, snapshotID: former?.snapshotID ?? null });
    const machine = {
      ...toMachineSpec(environment),
      secrets: [],
      volumes: {},
      buckets: {},
      ports: [],
    };
    const sandbox = await provider.create({ ...bare, env: {}, network: "blocked", machine }, ending);
    pool.insertSandbox(sandbox.id, provider.name, job.id, job.orchestrator, clock.now());
    const stop = () => void sandbox.terminate().catch(() => {}); // what is being sent fails then
    ending.addEventListener("abort", stop);
    try {
      const from = former?.form === "repository" ? former.commit : null;
      const scratchID = deps.ids("send");
      const form = await sendTree({ store: project, base, from, identity, sandbox, clock, scratchID });
      return await freeze(provider, sandbox, { key, place, commit: base.commit, form });
    } finally {
      ending.removeEventListener("abort", stop);
      await sandbox.terminate();
      pool.deleteSandbox(sandbox.id);
    }
  }

  async function freeze(
    provider: SandboxProvider,
    sandbox: Sandbox,
    what: Pick<PreparedTree, "key" | "place" | "commit" | "form">,
  ): Promise<PreparedTree> {
    const { id } = await snapshotsOf(provider).take(sandbox, null);
    const record: PreparedTree = { ...what, snapshotID: id, createdAt: clock.now() };
    pool.savePreparedTree(record);
    for (const old of pool.preparedTrees(what.place).slice(0, -KEPT)) {
      pool.deletePreparedTree(old.snapshotID);
      await snapshotsOf(provider).remove(old.snapshotID);
    }
    return record;
  }

  return { of, settled: () => Promise.allSettled(preparing.values()) };
}

function snapshotsOf(provider: SandboxProvider) {
  if (provider.snapshots) return provider.snapshots;
  throw new PluginError("workspace_failed", `The ${provider.name} provider cannot take snapshots.`, {
    retryable: false,
  });
}
