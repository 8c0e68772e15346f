import type { ProviderName, Sandbox, SandboxProvider, SnapshotCharge } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { type Job, withLeftOut } from "../core/job.ts";
import type { Label, SnapshotRecord } from "../core/snapshot-record.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { PoolStore } from "../store/pool-store.ts";

/** Frozen file systems of jobs: taking them, finding them by id or label, forgetting them. */
export interface Snapshots {
  /** Freezes a live sandbox for everyone of its orchestrator to start from. @throws PluginError */
  take(
    job: Job,
    sandbox: Sandbox,
    options: { readonly label: string | null; readonly path: string | null },
  ): Promise<Frozen>;
  /** Freezes a sandbox to keep its files; what it cannot keep becomes a note on the job. @throws PluginError */
  park(sessionJobs: SessionJobs, job: Job, sandbox: Sandbox): Promise<SnapshotRecord>;
  /** The same in place of those taken so before. @throws PluginError */
  parkAnew(sessionJobs: SessionJobs, job: Job, sandbox: Sandbox): Promise<SnapshotRecord>;
  /** Makes what a job was parked with one that was asked for. */
  promote(job: Job, snapshotID: string, label: string | null): Frozen | null;
  /** Forgets earlier parked snapshots of a job, except those another job is about to start from. */
  dropFormerParked(sessionJobs: SessionJobs, jobID: string, keepID: string): Promise<void>;
  /** Newest whole-file-system snapshot of a job's own sandbox. */
  newestOf(job: Job): SnapshotRecord | null;
  /** By id, or by label. */
  find(orchestrator: string, name: string): SnapshotRecord | null;
  /** A label of which the snapshot is gone: it has expired. */
  lostLabel(orchestrator: string, name: string): Label | null;
  /** Those that were asked for, oldest first. */
  list(orchestrator: string): SnapshotRecord[];
  /** Removes every snapshot of a deleted session. */
  removeAll(orchestrator: string): Promise<void>;
}

/** A snapshot that was asked for. */
export interface Frozen {
  readonly snapshot: SnapshotRecord;
  /** The job that has the label asked for, and keeps it; null when the snapshot bears it, or none was asked for. */
  readonly labelOwner: string | null;
}

export interface SnapshotsDeps {
  readonly provider: (name: ProviderName) => Promise<SandboxProvider>;
  readonly pool: PoolStore;
  readonly clock: Clock;
}

/** Enough for one every few minutes of a day. */
const MAX_OF_A_JOB = 200;

export function createSnapshots({ provider, pool, clock }: SnapshotsDeps): Snapshots {
  async function store(name: ProviderName) {
    const { snapshots } = await provider(name);
    if (!snapshots)
      throw new PluginError("snapshot_failed", `The ${name} provider cannot take snapshots.`, { retryable: false });
    return snapshots;
  }

  async function remove(snapshot: SnapshotRecord): Promise<void> {
    await (await store(snapshot.provider)).remove(snapshot.id);
    pool.deleteSnapshot(snapshot.id);
  }

  /** What the snapshots that were asked for of a job take. Those taken by itself replace each other. @throws PluginError */
  function charge({ id, orchestrator }: Job): SnapshotCharge {
    const own = pool.snapshots(orchestrator).filter(({ jobID, parked }) => jobID === id && !parked);
    if (own.length >= MAX_OF_A_JOB) {
      const message = `${id} has ${own.length} snapshots, as many as a job may have. They are removed with its session; start new jobs from those there are.`;
      throw new PluginError("snapshot_failed", message, { retryable: false });
    }
    const sum = (of: (one: SnapshotRecord) => number | null) => own.reduce((total, one) => total + (of(one) ?? 0), 0);
    return { count: own.length, bytes: sum(({ sizeBytes }) => sizeBytes), files: sum(({ files }) => files) };
  }

  async function freeze(
    job: Job,
    sandbox: Sandbox,
    how: Pick<SnapshotRecord, "parked"> & { path: string | null },
  ): Promise<SnapshotRecord> {
    const snapshots = await store(job.provider);
    const taken = await snapshots.take(sandbox, how.path, how.parked ? null : charge(job));
    const record: SnapshotRecord = {
      id: taken.id,
      label: null,
      orchestrator: job.orchestrator,
      jobID: job.id,
      parent: job.task.snapshotID,
      kind: how.path === null ? "filesystem" : "directory",
      provider: job.provider,
      sizeBytes: taken.sizeBytes,
      files: taken.files,
      leftOut: taken.leftOut,
      createdAt: clock.now(),
      expiresAt: taken.expiresAt,
      parked: how.parked,
    };
    pool.saveSnapshot(record);
    return record;
  }

  async function park(sessionJobs: SessionJobs, job: Job, sandbox: Sandbox): Promise<SnapshotRecord> {
    const snapshot = await freeze(job, sandbox, { path: null, parked: true });
    sessionJobs.update(job.id, (current) => withLeftOut(current, snapshot.leftOut));
    return snapshot;
  }

  async function dropFormerParked(sessionJobs: SessionJobs, jobID: string, keepID: string): Promise<void> {
    const wanted = new Set(sessionJobs.all().map((job) => job.task.snapshotID));
    for (const snapshot of pool.snapshots(sessionJobs.orchestrator)) {
      const isFormer = snapshot.parked && snapshot.jobID === jobID && snapshot.id !== keepID;
      if (isFormer && !wanted.has(snapshot.id)) await remove(snapshot);
    }
  }

  /** The files are kept in any case: who may not have the name is told. */
  function name(snapshot: SnapshotRecord, label: string | null): Frozen {
    if (label === null) return { snapshot, labelOwner: null };
    const { orchestrator, jobID, id: snapshotID } = snapshot;
    const { owner } = pool.giveLabel(orchestrator, { label, jobID, snapshotID });
    return owner === jobID ? { snapshot: { ...snapshot, label }, labelOwner: null } : { snapshot, labelOwner: owner };
  }

  return {
    take: async (job, sandbox, { label, path }) => name(await freeze(job, sandbox, { path, parked: false }), label),
    park,
    async parkAnew(sessionJobs, job, sandbox) {
      const snapshot = await park(sessionJobs, job, sandbox);
      await dropFormerParked(sessionJobs, job.id, snapshot.id);
      return snapshot;
    },
    promote(job, snapshotID, label) {
      const parked = pool.snapshots(job.orchestrator).find((one) => one.id === snapshotID);
      if (!parked) return null;
      if (parked.parked) charge(job);
      const kept: SnapshotRecord = { ...parked, parked: false };
      pool.saveSnapshot(kept);
      return name(kept, label);
    },
    dropFormerParked,
    newestOf: (job) =>
      pool.snapshots(job.orchestrator).findLast((one) => one.jobID === job.id && one.kind === "filesystem") ?? null,
    find(orchestrator, name) {
      const byID = (id: string) => pool.snapshots(orchestrator).find((one) => one.id === id) ?? null;
      return byID(name) ?? byID(pool.labelled(orchestrator, name)?.snapshotID ?? "");
    },
    lostLabel: (orchestrator, name) => pool.labelled(orchestrator, name),
    list: (orchestrator) => pool.snapshots(orchestrator).filter((one) => !one.parked),
    async removeAll(orchestrator) {
      for (const snapshot of pool.snapshots(orchestrator)) await remove(snapshot);
      pool.deleteLabels(orchestrator);
    },
  };
}
