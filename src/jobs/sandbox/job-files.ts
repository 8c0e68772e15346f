import type { Environment } from "../../config/environment.ts";
import type { ProviderName } from "../../config/provider-names.ts";
import { addUsd, usdOver } from "../../core/cost.ts";
import { isHeld, type Job } from "../../core/job.ts";
import type { Limits } from "../../core/limits.ts";
import { READ_LIMIT_MS } from "../../core/orphan.ts";
import { toReaderTags } from "../../core/sandbox-tags.ts";
import type { SnapshotRecord } from "../../core/snapshot-record.ts";
import { environmentOf } from "../../core/task-source.ts";
import { withoutSandbox } from "../../core/without-sandbox.ts";
import { toMachineSpec, toSandboxSpec } from "../../sandboxes/environment.ts";
import type { Sandbox, SandboxProvider } from "../../sandboxes/port.ts";
import { withFrozenFiles } from "../../sandboxes/with-frozen-files.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import type { ProjectTrees } from "../project/trees.ts";
import { findJob } from "../session/find-jobs.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { PoolStore } from "../store/pool-store.ts";
import type { SandboxLifecycle } from "./lifecycle.ts";
import type { Snapshots } from "./snapshots.ts";

/** Where a job's files were read: in its own sandbox, or as its newest snapshot has them. */
export type FilesSource =
  | { readonly kind: "sandbox" }
  | { readonly kind: "snapshot"; readonly id: string /** Epoch ms. */; readonly takenAt: number };

export interface FilesUse<T> {
  readonly use: (sandbox: Sandbox, source: FilesSource) => Promise<T>;
  /** Tried first if the job has no live sandbox: work already stored on the host. null = none. */
  readonly kept?: () => Promise<T | null>;
  readonly signal?: AbortSignal;
}

/** Reads the files of jobs, whether they have a live sandbox or not. */
export interface JobFiles {
  /**
   * Lets `use` read a sandbox with the job's files while nothing else is done to the job: the job's own, or a bare one
   * made from its newest snapshot and terminated afterwards. The bare one has no network, no GPU and no secrets: nothing
   * runs in it but what reads the files. If a live sandbox does not answer, a snapshot of it is taken and read.
   * @throws PluginError `collect_failed`, and what making a sandbox may throw
   */
  read<T>(sessionJobs: SessionJobs, jobID: string, request: FilesUse<T>): Promise<T>;
}

export interface JobFilesDeps {
  readonly environments: Readonly<Record<string, Environment>>;
  readonly provider: (name: ProviderName) => Promise<SandboxProvider>;
  readonly lifecycle: Pick<SandboxLifecycle, "withSandbox" | "live" | "clearAway">;
  readonly snapshots: Snapshots;
  readonly trees: Pick<ProjectTrees, "forgetWork">;
  readonly pool: PoolStore;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Log;
}

/** Codes that mean the live sandbox cannot serve reads. */
const UNRESPONSIVE: ReadonlySet<string> = new Set(["sandbox_lost", "isolation_unavailable"]);

export function createJobFiles(deps: JobFilesDeps): JobFiles {
  const { lifecycle, snapshots, pool, clock, log } = deps;

  function newestOf(job: Job): SnapshotRecord {
    const { kind } = job.sandbox;
    const parked = job.sandbox.kind === "parked" ? snapshots.find(job.orchestrator, job.sandbox.snapshotID) : null;
    const newest = parked ?? snapshots.newestOf(job);
    if (newest) return newest;
    const isElsewhere = kind === "live" && isHeld(job.state);
    const { why, retryable } = withoutSandbox(job) ?? {
      why: isElsewhere
        ? "it runs in another OpenCode process, and no snapshot of it has been taken yet"
        : "its sandbox is gone, and no snapshot of it was taken",
      retryable: isElsewhere,
    };
    throw new PluginError("collect_failed", `Could not read the files of ${job.id}: ${why}.`, { retryable });
  }

  async function readSnapshot<T>(
    sessionJobs: SessionJobs,
    job: Job,
    snapshot: SnapshotRecord,
    { use, signal }: FilesUse<T>,
  ): Promise<T> {
    const environment = environmentOf(deps.environments, job.task);
    if (!environment)
      throw new PluginError("collect_failed", `The environment "${job.task.environment}" is no longer configured.`);
    const provider = await deps.provider(snapshot.provider);
    const tags = toReaderTags(job, pool.identity());
    const own = toSandboxSpec(
      environment,
      {},
      { name: `${job.id}-files`, tags, snapshotID: snapshot.storedAs ?? snapshot.id },
    );
    const bare = { secrets: [], volumes: {}, buckets: {}, ports: [], proxy: null, lifetimeMs: READ_LIMIT_MS };
    const machine = { ...toMachineSpec(environment), ...bare };
    const spec = { ...own, env: {}, network: "blocked" as const, machine };
    const sandbox = await provider.create(spec, signal);
    const madeAt = sandbox.billedSince ?? clock.now();
    pool.insertSandbox(sandbox.id, provider.name, job.id, job.orchestrator, madeAt);
    pool.saveOrigin(sandbox.id, snapshot.storedAs ?? snapshot.id);
    try {
      await snapshots.renew(snapshot, sandbox);
      const source = { kind: "snapshot", id: snapshot.id, takenAt: snapshot.createdAt } as const;
      return await withFrozenFiles(sandbox, (files) => use(files, source));
    } finally {
      const charge = (since: number) => {
        const usd = usdOver(deps.limits.rates(job, null).most, clock.now() - since);
        sessionJobs.update(job.id, (current) => ({ ...current, compute: addUsd(current.compute, usd) }));
      };
      charge(madeAt);
      const now = clock.now();
      const record = () => {
        charge(now);
        pool.deleteSandbox(sandbox.id);
      };
      await sandbox.terminate().then(
        // Nobody waits for its end. If the state files are closed by then, garbage collection sees that it has ended.
        () => void sandbox.ended.then(record).catch(() => {}),
        // It stays recorded, so the next garbage collection terminates it.
        (error) =>
          log("warn", "could not end a sandbox", { jobID: job.id, sandboxID: sandbox.id, reason: String(error) }),
      );
    }
  }

  return {
    read(sessionJobs, jobID, request) {
      const { use, kept, signal } = request;

      function readNewest(job: Job, snapshot: SnapshotRecord) {
        const once = () => readSnapshot(sessionJobs, job, snapshot, request);
        // Reading twice does no harm.
        return once().catch((error) => {
          if (!(error instanceof PluginError) || error.code !== "sandbox_lost" || signal?.aborted) throw error;
          log("info", "a sandbox made to read files was lost, making another", { jobID, reason: error.message });
          return once();
        });
      }

      async function snapshotAndRead(sandbox: Sandbox, error: unknown) {
        if (!(error instanceof PluginError) || !UNRESPONSIVE.has(error.code) || signal?.aborted) throw error;
        if (sessionJobs.reload(jobID).sandbox.kind === "parked") return readParked(); // by another process
        if (lifecycle.live(jobID) === null) {
          await lifecycle.clearAway(sessionJobs, jobID, sandbox.id); // lost while it was read
          return readParked();
        }
        log("warn", "could not read a live sandbox's files; taking a snapshot of it", { jobID, reason: error.message });
        const job = findJob(sessionJobs, jobID);
        const snapshot = await snapshots.replaceParked(sessionJobs, job, sandbox);
        await deps.trees.forgetWork(job); // it is older than the snapshot
        return readNewest(job, snapshot);
      }

      async function readParked() {
        const known = await kept?.();
        if (known) return known;
        const job = findJob(sessionJobs, jobID); // it may have been parked while we waited
        return readNewest(job, newestOf(job));
      }

      sessionJobs.reload(jobID); // another process may have ended, woken or parked it
      return lifecycle.withSandbox(sessionJobs, jobID, async (sandbox) => {
        if (sandbox)
          return withFrozenFiles(sandbox, (files) => use(files, { kind: "sandbox" })).catch((error) =>
            snapshotAndRead(sandbox, error),
          );
        return readParked();
      });
    },
  };
}
