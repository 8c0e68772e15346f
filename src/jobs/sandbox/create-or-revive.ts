import type { Job } from "../../core/job.ts";
import { insteadOfExpired, meansExpired } from "../../core/snapshot-expiry.ts";
import type { SnapshotRecord } from "../../core/snapshot-record.ts";
import type { SandboxProvider } from "../../sandboxes/port.ts";
import { PluginError, toFailure } from "../../shared/error-code.ts";
import type { ProjectTrees } from "../project/trees.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import { type CreationDeps, createSandbox, type MadeSandbox, type SandboxSource } from "./creation.ts";
import type { SandboxSources } from "./sandbox-sources.ts";
import type { Snapshots } from "./snapshots.ts";

export interface SourcesDeps extends CreationDeps {
  readonly snapshots: Snapshots;
  readonly trees: ProjectTrees;
  readonly sources: Pick<SandboxSources, "frozen">;
}

/**
 * Creates the sandbox of a job that had one, with the files it had.
 * @throws PluginError `restart_unrecoverable` when those are lost, `snapshot_expired` when the provider has deleted them
 */
export async function reviveSandbox(
  deps: SourcesDeps,
  provider: SandboxProvider,
  job: Job,
  signal: AbortSignal,
): Promise<MadeSandbox> {
  const id = lastSnapshotOf(deps, job);
  const record = deps.snapshots.find(job.orchestrator, id);
  return createSandbox(deps, provider, job, sourceOf(deps, id, record), signal).catch(async (error) => {
    if (!isExpiry(deps, error, record)) throw error;
    const message = `The files of ${job.id} (snapshot ${id}) have expired or were removed, so it cannot go on. ${await whatIsLeft(deps, job, id)}`;
    throw new PluginError("snapshot_expired", message, { cause: error, retryable: false });
  });
}

/** Creates the first sandbox of a job: from the project's files, the task's snapshot, or nothing. @throws PluginError */
export async function createFirstSandbox(
  deps: SourcesDeps,
  sessionJobs: SessionJobs,
  provider: SandboxProvider,
  accepted: Job,
  signal: AbortSignal,
): Promise<MadeSandbox> {
  const job = await deps.sources.frozen(sessionJobs, accepted);
  const { snapshotID: named } = job.task;
  const record = named === null ? null : deps.snapshots.find(job.orchestrator, named);
  const create = async () => {
    const snapshotID = await deps.trees.startingPoint(sessionJobs, job, provider, signal, deps.onStep);
    const source = named === null ? { snapshotID } : sourceOf(deps, named, record);
    return { snapshotID, creating: createSandbox(deps, provider, job, source, signal) };
  };
  const { snapshotID, creating } = await create();
  return creating.catch(async (error) => {
    if (named !== null) {
      const ofJob = record && sessionJobs.get(record.jobID);
      throw isExpiry(deps, error, record) ? expiredSource(job, named, record, ofJob, error) : error;
    }
    const isGone = error instanceof PluginError && (error.code === "snapshot_expired" || error.code === "not_found");
    if (!isGone || snapshotID === null) throw error;
    deps.trees.forgetSnapshot(snapshotID); // it was replaced, or has expired: the project is sent again
    return (await create()).creating;
  });
}

/** A snapshot of a job as the source of a sandbox, which renews it if it is due. */
const sourceOf = ({ snapshots }: SourcesDeps, id: string, record: SnapshotRecord | null): SandboxSource =>
  record === null
    ? { snapshotID: id }
    : { snapshotID: record.storedAs ?? record.id, onMade: (sandbox) => snapshots.renew(record, sandbox) };

const isExpiry = ({ clock }: SourcesDeps, error: unknown, record: SnapshotRecord | null): boolean =>
  meansExpired(toFailure(error, "sandbox_create_failed", "create a sandbox"), record, clock.now());

function expiredSource(
  job: Job,
  id: string,
  record: SnapshotRecord | null,
  ofJob: Job | null | undefined,
  cause: unknown,
): PluginError {
  const isOwn = record?.orchestrator === job.orchestrator; // of another session's, only the id is told
  const name = isOwn && record.label ? `${id} ("${record.label}")` : id;
  const remedy = isOwn ? insteadOfExpired(record.jobID, ofJob?.task.run != null) : "Start from a different one.";
  const message = `The snapshot ${name} that the task starts from has expired or was removed. ${remedy}`;
  return new PluginError("snapshot_expired", message, { cause, retryable: false });
}

/** What is left of a job whose own files have expired. */
async function whatIsLeft({ snapshots, trees, clock }: SourcesDeps, job: Job, expiredID: string): Promise<string> {
  if (await trees.hasWork(job).catch(() => false))
    return "Its changes to the project's files are kept on this machine: agents_collect gets them; a new job can go on from there.";
  const other = snapshots
    .ofJob(job.id)
    .findLast(({ id, expiresAt }) => id !== expiredID && (expiresAt === null || expiresAt > clock.now()));
  return other
    ? `What is left of it is the snapshot ${other.label ? `${other.id} ("${other.label}")` : other.id}: start a new job from that.`
    : "Nothing else of them is kept. Start a new job.";
}

function lastSnapshotOf({ snapshots }: SourcesDeps, job: Job): string {
  if (job.sandbox.kind === "parked") return job.sandbox.snapshotID;
  const newest = snapshots.newestOf(job);
  if (newest) return newest.id;
  const message = `The sandbox of ${job.id} is gone and no snapshot of it exists, so its files are lost. Start a new job.`;
  throw new PluginError("restart_unrecoverable", message, { retryable: false });
}
