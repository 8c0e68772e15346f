import type { Job } from "../../core/job.ts";
import { mayStartAgain } from "../../core/snapshot-record.ts";
import type { SessionRegistry } from "../session/session-registry.ts";
import type { SnapshotUseStore } from "../store/snapshot-use-store.ts";

export interface SnapshotUsesDeps {
  readonly registry: Pick<SessionRegistry, "onChange" | "onOpen">;
  readonly pool: Pick<SnapshotUseStore, "saveUse" | "deleteUse">;
}

/**
 * Records which snapshots jobs may still be made from, with every change of a job, where all processes and sessions see
 * it: until then nobody removes them.
 */
export function recordSnapshotUses({ registry, pool }: SnapshotUsesDeps): void {
  /** The snapshots recorded here, by job. */
  const recorded = new Map<string, string>();
  const record = (job: Job) => {
    const { snapshotID } = job.task;
    if (snapshotID !== null && mayStartAgain(job)) {
      if (recorded.get(job.id) === snapshotID) return;
      pool.saveUse(job, snapshotID);
      recorded.set(job.id, snapshotID);
    } else if (recorded.delete(job.id)) pool.deleteUse(job.id);
  };
  registry.onChange(({ job }) => record(job));
  // Jobs of an earlier version, or of a process that died before it had recorded the use or its end.
  registry.onOpen((sessionJobs) => {
    for (const job of sessionJobs.all()) {
      if (job.task.snapshotID !== null && !mayStartAgain(job)) recorded.set(job.id, job.task.snapshotID);
      record(job);
    }
  });
}
