import type { ProviderName } from "../../config/provider-names.ts";
import type { Job } from "../../core/job.ts";
import { withLeftOut } from "../../core/job-notes.ts";
import { nearUntil } from "../../core/snapshot-expiry.ts";
import type { Label, SnapshotRecord } from "../../core/snapshot-record.ts";
import type { Sandbox, SandboxProvider, SnapshotUsage, TakenSnapshot } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import { removeSnapshot, removeUnneeded } from "../snapshots/remove-snapshot.ts";
import { renewSnapshot } from "../snapshots/renew-snapshot.ts";
import type { PoolStore } from "../store/pool-store.ts";

/** Snapshots of the file systems of jobs: takes them, finds them by id or label, removes them. */
export interface Snapshots {
  /** Takes a snapshot that jobs of the same orchestrator may start from. @throws PluginError `snapshot_failed` */
  take(
    job: Job,
    sandbox: Sandbox,
    options: { readonly label: string | null; readonly path: string | null },
  ): Promise<RequestedSnapshot>;
  /**
   * Takes a snapshot of the whole file system for jobs to start from that nobody asked for by name: like a parked one it is
   * not listed, and replaced by the next. @throws PluginError `snapshot_failed`
   */
  freeze(sessionJobs: SessionJobs, job: Job, sandbox: Sandbox): Promise<SnapshotRecord>;
  /** Records a snapshot that was taken for the job of a sandbox that no job has here. */
  adopt(job: Job, taken: TakenSnapshot): SnapshotRecord;
  /** Takes a snapshot to keep a job's files. Files it cannot hold become a note on the job. @throws PluginError `snapshot_failed` */
  park(sessionJobs: SessionJobs, job: Job, sandbox: Sandbox): Promise<SnapshotRecord>;
  /** Keeps a folder of a job's sandbox as what the job is parked with: the sandbox goes on. @throws PluginError `snapshot_failed` */
  keepFolder(job: Job, sandbox: Sandbox, path: string): Promise<SnapshotRecord>;
  /**
   * Ends the sandbox and keeps its files, where that takes no copy of them. null = it cannot: nothing was done.
   * @param ending called before the sandbox is ended
   * @throws PluginError `snapshot_failed`, `sandbox_lost`; the job's sandbox may have ended by then, and can be attached again
   */
  retire(job: Job, sandbox: Sandbox, ending: () => void): Promise<SnapshotRecord | null>;
  /** Like `park`, and removes the job's earlier parked snapshots. @throws PluginError `snapshot_failed` */
  replaceParked(sessionJobs: SessionJobs, job: Job, sandbox: Sandbox): Promise<SnapshotRecord>;
  /**
   * Records the last files of the job's sandbox, which has ended by itself, and removes the job's earlier parked snapshots.
   * @returns null where there are none @throws PluginError `snapshot_failed`
   */
  keepLost(sessionJobs: SessionJobs, job: Job, sandboxID: string): Promise<SnapshotRecord | null>;
  /** Turns the snapshot that a job was parked with into one that was asked for; null when it is not known. */
  promote(job: Job, snapshotID: string, label: string | null): RequestedSnapshot | null;
  /** Removes the job's parked snapshots except `keepID` and those that jobs of any session may still be made from. */
  dropFormerParked(sessionJobs: SessionJobs, jobID: string, keepID: string): Promise<void>;
  /** The newest snapshot of the job's whole file system. */
  newestOf(job: Job): SnapshotRecord | null;
  /** The session's own snapshot of this id or label, or one of this id of another session of its project. */
  find(orchestrator: string, idOrLabel: string): SnapshotRecord | null;
  /** Renews a snapshot that is due, of a sandbox made from it in which nothing has run yet. Never rejects. */
  renew(snapshot: SnapshotRecord, sandbox: Sandbox): Promise<void>;
  /** The label of this name; its snapshot is gone if `find` found none. */
  lostLabel(orchestrator: string, label: string): Label | null;
  /** The newest of the snapshots that were asked for, oldest first, and how many there are in all. */
  list(orchestrator: string): { readonly newest: SnapshotRecord[]; readonly count: number };
  /** Those of the job that were asked for, oldest first. */
  ofJob(jobID: string): SnapshotRecord[];
  /** Snapshots that jobs are parked with and that expire soon or have expired: those that expire first. */
  parkedNearEnd(orchestrator: string): SnapshotRecord[];
  /** Removes every snapshot of a deleted session but those that jobs of others may still be made from. */
  removeAll(orchestrator: string): Promise<void>;
  /** Removes a snapshot and its record. @returns the ids of the snapshots that were removed @throws PluginError `snapshot_failed` */
  remove(snapshot: SnapshotRecord): Promise<string[]>;
  /** Removes what was kept only for snapshots or sandboxes that are gone by now. @returns ids */
  removeUnneeded(): Promise<string[]>;
}

/** A snapshot that a job or user asked for. */
export interface RequestedSnapshot {
  readonly snapshot: SnapshotRecord;
  /** The job that owns the wanted label and keeps it; null when the snapshot got the label, or none was wanted. */
  readonly labelOwner: string | null;
}

export interface SnapshotsDeps {
  readonly provider: (name: ProviderName) => Promise<SandboxProvider>;
  readonly pool: PoolStore;
  readonly clock: Clock;
  readonly log: Log;
}

/** Snapshots that are listed; hundreds of jobs may have asked for some each. */
const LISTED = 200;
/** Parked ones that are told of: more than an answer has room for. */
const NEAR_END = 50;

/** Snapshots that one job may ask for: enough for one every few minutes of a day. */
const MAX_PER_JOB = 200;

export function createSnapshots({ provider, pool, clock, log }: SnapshotsDeps): Snapshots {
  const removal = () => ({ pool, store, now: clock.now() });

  async function store(name: ProviderName) {
    const { snapshots } = await provider(name);
    if (!snapshots)
      throw new PluginError("snapshot_failed", `The ${name} provider cannot take snapshots.`, { retryable: false });
    return snapshots;
  }

  async function remove(snapshot: SnapshotRecord): Promise<string[]> {
    const removed = await removeSnapshot(removal(), {
      id: snapshot.storedAs ?? snapshot.id,
      provider: snapshot.provider,
    });
    pool.deleteSnapshot(snapshot.id);
    pool.deleteBases(snapshot.id);
    return removed;
  }

  /** The space that a job's snapshots take, without parked ones, which replace each other. @throws PluginError at the limit */
  function usageWithinLimit({ id }: Job): SnapshotUsage {
    const own = pool.snapshotsOf(id).filter(({ parked }) => !parked);
    if (own.length >= MAX_PER_JOB) {
      const message = `${id} has reached the limit of ${MAX_PER_JOB} snapshots; they are deleted with its session. Start new jobs from existing ones.`;
      throw new PluginError("snapshot_failed", message, { retryable: false });
    }
    const sum = (of: (one: SnapshotRecord) => number | null) => own.reduce((total, one) => total + (of(one) ?? 0), 0);
    return { count: own.length, bytes: sum(({ sizeBytes }) => sizeBytes), files: sum(({ files }) => files) };
  }

  async function takeSnapshot(
    job: Job,
    sandbox: Sandbox,
    how: Pick<SnapshotRecord, "parked"> & { path: string | null },
  ): Promise<SnapshotRecord> {
    const snapshots = await store(job.provider);
    const taken = await (how.parked
      ? snapshots.keep(sandbox)
      : snapshots.take(sandbox, how.path, usageWithinLimit(job)));
    return record(job, sandbox.id, taken, { path: taken.path ?? how.path, parked: how.parked });
  }

  function record(
    job: Job,
    sandboxID: string,
    taken: TakenSnapshot,
    how: Pick<SnapshotRecord, "parked"> & { path: string | null },
  ): SnapshotRecord {
    const snapshot: SnapshotRecord = {
      id: taken.id,
      label: null,
      orchestrator: job.orchestrator,
      project: pool.projectOf(job.orchestrator),
      jobID: job.id,
      parent: job.task.snapshotID,
      kind: how.path === null ? "filesystem" : "directory",
      path: how.path,
      provider: job.provider,
      sizeBytes: taken.sizeBytes,
      files: taken.files,
      leftOut: taken.leftOut,
      createdAt: clock.now(),
      expiresAt: taken.expiresAt,
      storedAs: null,
      renewedAt: null,
      parked: how.parked,
      isState: how.parked,
    };
    pool.saveSnapshot(snapshot);
    pool.saveBases(snapshot.id, job);
    pool.saveLineage(snapshot, sandboxID, snapshot.expiresAt);
    return snapshot;
  }

  async function park(sessionJobs: SessionJobs, job: Job, sandbox: Sandbox): Promise<SnapshotRecord> {
    const snapshot = await takeSnapshot(job, sandbox, { path: null, parked: true });
    sessionJobs.update(job.id, (current) => withLeftOut(current, snapshot.leftOut));
    return snapshot;
  }

  async function dropFormerParked(sessionJobs: SessionJobs, jobID: string, keepID: string): Promise<void> {
    for (const snapshot of pool.snapshotsOf(jobID)) {
      const isOwn = snapshot.orchestrator === sessionJobs.orchestrator;
      const isFormer = isOwn && snapshot.parked && snapshot.id !== keepID;
      if (isFormer && pool.usersOf(snapshot.id).length === 0) await remove(snapshot);
    }
  }

  const dropFormerOrLog = (sessionJobs: SessionJobs, jobID: string, keepID: string): Promise<void> =>
    dropFormerParked(sessionJobs, jobID, keepID).catch((error) =>
      log("warn", "could not remove a job's older snapshots", { jobID, reason: String(error) }),
    );

  /** Whether a session may start jobs from the snapshot: its own, and those of its project. */
  function isSeenBy(orchestrator: string, snapshot: SnapshotRecord): boolean {
    if (snapshot.orchestrator === orchestrator) return true;
    const project = snapshot.project ?? pool.projectOf(snapshot.orchestrator);
    return project !== null && project === pool.projectOf(orchestrator);
  }

  /** Gives the snapshot a label. One that another job owns is not given; the snapshot is kept all the same. */
  function giveLabel(snapshot: SnapshotRecord, label: string | null): RequestedSnapshot {
    if (label === null) return { snapshot, labelOwner: null };
    const { orchestrator, jobID, id: snapshotID } = snapshot;
    const { owner } = pool.giveLabel(orchestrator, { label, jobID, snapshotID });
    return owner === jobID ? { snapshot: { ...snapshot, label }, labelOwner: null } : { snapshot, labelOwner: owner };
  }

  return {
    take: async (job, sandbox, { label, path }) =>
      giveLabel(await takeSnapshot(job, sandbox, { path, parked: false }), label),
    async freeze(sessionJobs, job, sandbox) {
      const taken = await (await store(job.provider)).take(sandbox, null, null);
      const snapshot = record(job, sandbox.id, taken, { path: null, parked: true });
      await dropFormerOrLog(sessionJobs, job.id, snapshot.id);
      return snapshot;
    },
    adopt: (job, taken) => record(job, "", taken, { path: null, parked: false }),
    park,
    async keepFolder(job, sandbox, path) {
      const taken = await (await store(job.provider)).take(sandbox, path, null);
      return record(job, sandbox.id, taken, { path, parked: true });
    },
    async retire(job, sandbox, ending) {
      let kept: SnapshotRecord | null = null;
      const keeping = (taken: TakenSnapshot) => {
        kept = record(job, sandbox.id, taken, { path: null, parked: true });
      };
      await (await store(job.provider)).retire(sandbox, { ending, keeping });
      return kept;
    },
    async replaceParked(sessionJobs, job, sandbox) {
      const snapshot = await park(sessionJobs, job, sandbox);
      await dropFormerParked(sessionJobs, job.id, snapshot.id);
      return snapshot;
    },
    async keepLost(sessionJobs, job, sandboxID) {
      const taken = await (await store(job.provider)).ofLost(sandboxID);
      if (!taken) return null;
      const snapshot = record(job, sandboxID, taken, { path: null, parked: true });
      sessionJobs.update(job.id, (current) => withLeftOut(current, snapshot.leftOut));
      await dropFormerOrLog(sessionJobs, job.id, snapshot.id);
      return snapshot;
    },
    promote(job, snapshotID, label) {
      const parked = pool.snapshotsOf(job.id).find((one) => one.id === snapshotID);
      if (!parked) return null;
      if (parked.parked) usageWithinLimit(job);
      const kept: SnapshotRecord = { ...parked, parked: false };
      pool.saveSnapshot(kept);
      return giveLabel(kept, label);
    },
    dropFormerParked,
    newestOf: (job) =>
      pool.snapshotsOf(job.id).findLast(({ kind, isState }) => kind === "filesystem" || isState) ?? null,
    find(orchestrator, idOrLabel) {
      const named = pool.snapshotNamed(idOrLabel);
      if (named && isSeenBy(orchestrator, named)) return named;
      const labelled = pool.labelled(orchestrator, idOrLabel);
      return labelled && pool.snapshotNamed(labelled.snapshotID);
    },
    renew: (snapshot, sandbox) => renewSnapshot({ pool, store, clock, log }, snapshot, sandbox),
    lostLabel: (orchestrator, label) => pool.labelled(orchestrator, label),
    list: (orchestrator) => pool.requestedSnapshots(orchestrator, LISTED),
    ofJob: (jobID) => pool.snapshotsOf(jobID).filter((one) => !one.parked),
    parkedNearEnd: (orchestrator) => pool.parkedUntil(orchestrator, nearUntil(clock.now()), NEAR_END),
    async removeAll(orchestrator) {
      pool.deleteUses(orchestrator);
      for (const snapshot of pool.snapshots(orchestrator))
        if (pool.usersOf(snapshot.id).length === 0) await remove(snapshot);
      pool.deleteLabels(orchestrator);
    },
    remove,
    removeUnneeded: () => removeUnneeded(removal()),
  };
}
