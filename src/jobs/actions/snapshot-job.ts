import { fullPath } from "../../sandboxes/meant-path.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import type { RequestedSnapshot, Snapshots } from "../sandbox/snapshots.ts";
import { findJob } from "../session/find-jobs.ts";
import type { SessionOpener } from "../session/session-jobs.ts";

export interface SnapshotDeps extends SessionOpener {
  readonly lifecycle: Pick<SandboxLifecycle, "withSandbox">;
  readonly snapshots: Pick<Snapshots, "take" | "promote">;
}

export interface SnapshotRequest {
  readonly job: string;
  readonly label: string | null;
  /** Relative to the workdir, or absolute; null = the whole file system. */
  readonly path: string | null;
}

/**
 * Takes a snapshot of a job's files for new jobs to start from: of its live sandbox, or, for a parked job, the snapshot it
 * was parked with. A label that another job of the session owns is not given; the snapshot is taken all the same.
 * @throws PluginError `not_found`, `snapshot_failed`
 */
export async function snapshotJob(
  deps: SnapshotDeps,
  orchestrator: string,
  request: SnapshotRequest,
): Promise<RequestedSnapshot> {
  const sessionJobs = await deps.sessionJobs(orchestrator);
  const job = findJob(sessionJobs, request.job);
  return deps.lifecycle.withSandbox(sessionJobs, job.id, async (sandbox) => {
    if (sandbox) {
      const path = request.path === null ? null : fullPath(request.path, sandbox);
      return deps.snapshots.take(job, sandbox, { label: request.label, path });
    }
    const now = findJob(sessionJobs, job.id).sandbox; // it may have been parked while we waited
    if (now.kind === "parked" && request.path === null) {
      const promoted = deps.snapshots.promote(job, now.snapshotID, request.label);
      if (promoted) return promoted;
    }
    if (now.kind === "parked") {
      const message = `${job.id} is parked, so only the whole of it can be frozen; leave path out${job.task.run ? "" : ", or wake it with agents_message first"}.`;
      throw new PluginError("snapshot_failed", message, { retryable: false });
    }
    const { kind } = now;
    const message = `${job.id} has no sandbox to freeze (it is ${job.state.kind}, its sandbox: ${kind}).`;
    throw new PluginError("snapshot_failed", message, { retryable: kind === "none" || kind === "creating" });
  });
}
