import { toMachineSpec, toSandboxSpec } from "../../sandboxes/environment.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import { withStillFiles } from "../../sandboxes/still-files.ts";
import { PluginError } from "../../shared/error-code.ts";
import { usdOver } from "../core/cost.ts";
import type { Job } from "../core/job.ts";
import { READ_LIMIT_MS } from "../core/orphan.ts";
import type { SnapshotRecord } from "../core/snapshot-record.ts";
import type { Runtime } from "../runtime.ts";
import { findJob } from "../session/find-jobs.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import { toReaderTags } from "./garbage-collector.ts";

/** Where a job's files were read: in its own sandbox, or as they were when that was frozen last. */
export type FilesSource =
  | { readonly kind: "sandbox" }
  | { readonly kind: "snapshot"; readonly id: string /** Epoch ms. */; readonly takenAt: number };

export interface FilesUse<T> {
  readonly use: (sandbox: Sandbox, source: FilesSource) => Promise<T>;
  /** Asked first where no sandbox lives. null = there is nothing better than a snapshot. */
  readonly kept?: () => Promise<T | null>;
  readonly signal?: AbortSignal;
}

/**
 * Lets `use` have a sandbox with the job's files while nothing else is done to the job: its own, or a bare one made of
 * its newest snapshot for this and ended again. That one has no network, no GPU and no secrets: nothing runs in it but
 * what reads the files. One of its own that gives no answer is frozen for this, which needs nobody's help inside.
 * @throws PluginError `collect_failed`, and what making a sandbox may throw
 */
export function withJobFiles<T>(
  runtime: Runtime,
  sessionJobs: SessionJobs,
  jobID: string,
  { use, kept, signal }: FilesUse<T>,
): Promise<T> {
  return runtime.lifecycle.withSandbox(sessionJobs, jobID, async (sandbox) => {
    if (sandbox)
      return withStillFiles(sandbox, (files) => use(files, { kind: "sandbox" })).catch(fromSnapshot(sandbox));
    const known = await kept?.();
    if (known) return known;
    const job = findJob(sessionJobs, jobID); // it may have been parked while we waited
    return read(job, newestOf(runtime, job));
  });

  function fromSnapshot(sandbox: Sandbox) {
    return async (error: unknown): Promise<T> => {
      const isSilent =
        error instanceof PluginError && SILENCE.has(error.code) && runtime.lifecycle.live(jobID) !== null;
      if (!isSilent || signal?.aborted) throw error;
      runtime.log("warn", "a sandbox let nobody read its files", { jobID, reason: error.message });
      const job = findJob(sessionJobs, jobID);
      const snapshot = await runtime.snapshots.parkAnew(sessionJobs, job, sandbox);
      await runtime.trees.forgetWork(job); // it is older
      return read(job, snapshot);
    };
  }

  function read(job: Job, snapshot: SnapshotRecord): Promise<T> {
    const source = { kind: "snapshot", id: snapshot.id, takenAt: snapshot.createdAt } as const;
    const once = () => withSnapshot(runtime, sessionJobs, job, snapshot, (one) => use(one, source), signal);
    // Reading twice does no harm.
    return once().catch((error) => {
      if (!(error instanceof PluginError) || error.code !== "sandbox_lost" || signal?.aborted) throw error;
      runtime.log("info", "a sandbox made to read files was lost, making another", { jobID, reason: error.message });
      return once();
    });
  }
}

/** What reading in place fails with when it is the sandbox that does not let it happen. */
const SILENCE: ReadonlySet<string> = new Set(["sandbox_lost", "isolation_unavailable"]);

function newestOf(runtime: Runtime, job: Job): SnapshotRecord {
  const { kind } = job.sandbox;
  const parked =
    job.sandbox.kind === "parked" ? runtime.snapshots.find(job.orchestrator, job.sandbox.snapshotID) : null;
  const newest = parked ?? runtime.snapshots.newestOf(job);
  if (newest) return newest;
  const isEarly = kind === "none" || kind === "creating";
  const why = isEarly ? "it has no sandbox yet" : "its sandbox is gone, and no snapshot of it was taken";
  throw new PluginError("collect_failed", `Could not read the files of ${job.id}: ${why}.`, { retryable: isEarly });
}

async function withSnapshot<T>(
  runtime: Runtime,
  sessionJobs: SessionJobs,
  job: Job,
  snapshot: SnapshotRecord,
  use: (sandbox: Sandbox) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const environment = runtime.options.environments[job.task.environment];
  if (!environment)
    throw new PluginError("collect_failed", `The environment "${job.task.environment}" is no longer configured.`);
  const provider = await runtime.provider(snapshot.provider);
  const name = { name: `${job.id}-files`, tags: toReaderTags(job, runtime.pool.identity()), snapshotID: snapshot.id };
  const bare = { secrets: [], volumes: {}, buckets: {}, ports: [], lifetimeMs: READ_LIMIT_MS };
  const machine = { ...toMachineSpec(environment), ...bare };
  const spec = { ...toSandboxSpec(environment, {}, name), env: {}, network: "blocked" as const, machine };
  const sandbox = await provider.create(spec, signal);
  const madeAt = runtime.clock.now();
  runtime.pool.insertSandbox(sandbox.id, provider.name, job.id, job.orchestrator, madeAt);
  try {
    return await withStillFiles(sandbox, use);
  } finally {
    const usd = usdOver(runtime.limits.rate(job, null), runtime.clock.now() - madeAt);
    sessionJobs.update(job.id, ({ compute, ...current }) => ({
      ...current,
      compute: { ...compute, usd: compute.usd + usd },
    }));
    await sandbox.terminate().then(
      () => runtime.pool.deleteSandbox(sandbox.id),
      // It stays recorded, so the next sweep ends it.
      (error) =>
        runtime.log("warn", "could not end a sandbox", { jobID: job.id, sandboxID: sandbox.id, reason: String(error) }),
    );
  }
}
