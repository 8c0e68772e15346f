import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ProviderName } from "../config/provider-names.ts";
import type { Options } from "../config/schema.ts";
import type { AdmissionLimits } from "../core/admission.ts";
import { createLimits, type Limits } from "../core/limits.ts";
import { boundProvider } from "../sandboxes/bounded-provider.ts";
import type { CreationLimiter } from "../sandboxes/creation-limiter.ts";
import { type MachineGpus, noGpus } from "../sandboxes/machine-gpus.ts";
import type { SandboxProvider } from "../sandboxes/port.ts";
import type { Clock } from "../shared/clock.ts";
import type { IdGenerator } from "../shared/ids.ts";
import type { Log } from "../shared/log.ts";
import { PromiseCache } from "../shared/memoize-until-failure.ts";
import { createGit, type Git } from "../workspace/git.ts";
import { projectID } from "../workspace/project/project-id.ts";
import { createEnvironments, type Environments } from "./environments/environments.ts";
import { createLedger, type Ledger } from "./project/ledger.ts";
import { createSessionProjects, type SessionProjects } from "./project/session-projects.ts";
import { createProjectTrees, type ProjectTrees } from "./project/trees.ts";
import { createLeases, type Leases } from "./queue/leases.ts";
import { createLocalQueue, type LocalQueue } from "./queue/local-queue.ts";
import { createSharedCreationLimiter } from "./queue/shared-creation-limiter.ts";
import { createGarbageCollector, type GarbageCollector } from "./sandbox/garbage-collector.ts";
import { createLiveSandboxes, type LiveSandboxes } from "./sandbox/live-sandboxes.ts";
import { createParking, type Parking } from "./sandbox/parking.ts";
import { createPriceList, type PriceList } from "./sandbox/price-list.ts";
import { createSandboxSources, type SandboxSources } from "./sandbox/sandbox-sources.ts";
import { createSnapshots, type Snapshots } from "./sandbox/snapshots.ts";
import { createSessionRegistry, type SessionRegistry } from "./session/session-registry.ts";
import { recordSnapshotUses } from "./snapshots/snapshot-uses.ts";
import { ledgerFile } from "./store/experiment-store.ts";
import { toOwner } from "./store/lease-store.ts";
import { openPoolStore, type PoolStore } from "./store/pool-store.ts";

/**
 * What is needed to look after sandboxes without any session of a host: state, leases, providers, snapshots, garbage
 * collection. The command line works with this alone; the runtime builds on it.
 */
export interface Foundation {
  readonly pool: PoolStore;
  /** Names this process in leases. */
  readonly owner: string;
  readonly registry: SessionRegistry;
  readonly git: Git;
  readonly snapshots: Snapshots;
  readonly images: Environments;
  readonly trees: ProjectTrees;
  readonly projects: SessionProjects;
  readonly ledger: Ledger;
  readonly limits: Limits;
  readonly prices: PriceList;
  readonly admissionLimits: AdmissionLimits;
  readonly machineGpus: MachineGpus;
  readonly localQueue: LocalQueue;
  readonly leases: Leases;
  readonly liveSandboxes: LiveSandboxes;
  readonly parking: Parking;
  readonly sources: SandboxSources;
  readonly garbageCollector: GarbageCollector;
  /** Opens a provider at its first use. A provider that could not be opened is tried again at the next. */
  provider(name: ProviderName): Promise<SandboxProvider>;
  /** Closes providers, then state files. Whatever uses them must have come to rest. */
  close(): Promise<void>;
}

export interface FoundationDeps {
  readonly options: Options;
  /** Where new jobs run. */
  readonly providerName: ProviderName;
  /** `limiter` is the one of all processes of this state directory. */
  readonly createProvider: (name: ProviderName, limiter: CreationLimiter) => Promise<SandboxProvider>;
  /** Absent = its jobs have no GPUs of this machine. */
  readonly machineGpus?: MachineGpus;
  /** Absolute; a folder of the project whose files jobs start from. null = there is none. */
  readonly directory: string | null;
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
}

/** @throws PluginError `config_invalid` when the state directory cannot be used */
export async function openFoundation(deps: FoundationDeps): Promise<Foundation> {
  const { options, directory, hostEnv, clock, ids, log } = deps;
  const { environments, stateDir } = options;
  const pool = await openPoolStore(stateDir, clock);
  const providers = new PromiseCache<ProviderName, SandboxProvider>();
  const snapshotMs = options.modal.snapshotTimeoutSeconds * 1000;
  const { createsPerSecond, createsBurst } = options.modal;
  const rate = { perSecond: createsPerSecond, burst: createsBurst };
  const limiter = createSharedCreationLimiter({ pool, rate, clock, log });
  const provider = (name: ProviderName) =>
    providers.getOrMake(name, async () => boundProvider(await deps.createProvider(name, limiter), clock, snapshotMs));

  const owner = toOwner(ids("owner"));
  const { machineGpus = noGpus("this process has no local sandboxes") } = deps;
  const admissionLimits: AdmissionLimits = {
    maxRunningJobs: options.maxRunningJobs,
    gpus: options.gpuLimits,
    // Looked up whenever somebody asks: this machine is asked for its GPUs when a job first needs one.
    get machine() {
      return machineGpus.known()?.gpus ?? [];
    },
  };
  const prices = createPriceList({ options, clock, log });
  const limits = createLimits(options, prices.of);
  const registry = createSessionRegistry({
    stateDir,
    clock,
    ids,
    log,
    warmCost: (orchestrator) => pool.warmCost(orchestrator, clock.now()),
  });
  const localQueue = createLocalQueue({ pool, owner, clock, log });
  const leases = createLeases({ pool, localQueue, limits: admissionLimits, owner, clock, ids, log });
  const git = createGit(clock, hostEnv);
  const limitMs = options.modal.buildTimeoutMinutes * 60_000;
  const images = createEnvironments({ environments, hostEnv, provider, pool, owner, limitMs, clock, ids, log });
  const trees = createProjectTrees({ directory, stateDir, environments, git, pool, limits, images, clock, ids, log });
  const isKnown = (project: string) => pool.sessionsOf(project).length > 0 || existsSync(ledgerFile(stateDir, project));
  const identify = async () => (directory === null ? null : projectID(git, directory, isKnown));
  const projects = createSessionProjects({ registry, pool, identify, log });
  const ledger = createLedger({ stateDir, environments, registry, projects, clock, log });
  const snapshots = createSnapshots({ provider, pool, clock, log });
  recordSnapshotUses({ registry, pool });
  const liveSandboxes = createLiveSandboxes({ pool, owner, leases, limits, snapshots, trees, clock, log });
  const parking = createParking({
    pool,
    owner,
    environments,
    hostEnv,
    provider,
    liveSandboxes,
    snapshots,
    trees,
    clock,
    log,
  });
  const sources = createSandboxSources({ provider, liveSandboxes, parking, snapshots, pool, log });
  const garbageCollector = createGarbageCollector({
    pool,
    parking,
    snapshots,
    images,
    provider,
    // Local sandboxes may be left from a time when the options named another provider.
    providers: existsSync(join(stateDir, "local")) ? [deps.providerName, "local"] : [deps.providerName],
    registry,
    parkAfterMs: options.parkAfterSeconds * 1000,
    creationMs: limits.creationMs,
    clock,
    log,
  });

  return {
    pool,
    owner,
    registry,
    git,
    snapshots,
    images,
    trees,
    projects,
    ledger,
    limits,
    prices,
    admissionLimits,
    machineGpus,
    localQueue,
    leases,
    liveSandboxes,
    parking,
    sources,
    garbageCollector,
    provider,
    async close() {
      void liveSandboxes.suspend(); // a sandbox that ends with its provider is not lost, and its state files are closed
      const opened = await Promise.allSettled(providers.values());
      await Promise.all(opened.map((one) => (one.status === "fulfilled" ? one.value.close() : undefined)));
      await ledger.close();
      await registry.close();
      try {
        pool.leave(owner);
      } catch (error) {
        log("warn", "could not give up leases", { reason: String(error) }); // the disk may be full
      }
      pool.close();
    },
  };
}
