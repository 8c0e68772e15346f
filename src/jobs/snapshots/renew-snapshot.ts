import { isDue } from "../../core/snapshot-expiry.ts";
import type { SnapshotRecord } from "../../core/snapshot-record.ts";
import type { Sandbox, SnapshotStore } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import type { PoolStore } from "../store/pool-store.ts";
import { removeSnapshot } from "./remove-snapshot.ts";

export interface RenewalDeps {
  readonly pool: PoolStore;
  readonly store: (provider: SnapshotRecord["provider"]) => Promise<SnapshotStore>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Renews a snapshot that is due: takes it again of a sandbox that was made from it and in which nothing has run yet. No
 * provider offers to prolong one. Its record keeps its id, which models and users were told. Never rejects: until the
 * snapshot expires, the next one to use it tries again.
 */
export async function renewSnapshot(deps: RenewalDeps, snapshot: SnapshotRecord, sandbox: Sandbox): Promise<void> {
  const { pool, clock, log } = deps;
  const current = () => pool.snapshotsOf(snapshot.jobID).find(({ id }) => id === snapshot.id) ?? null;
  const isStillDue = () => {
    const record = current();
    return record !== null && isDue(record, clock.now());
  };
  if (!isStillDue() || (snapshot.kind === "directory" && snapshot.path === null)) return;
  try {
    const store = await deps.store(snapshot.provider);
    const taken = await store.take(sandbox, snapshot.path, null);
    const now = clock.now();
    const stored = { id: taken.id, provider: snapshot.provider };
    pool.saveLineage(stored, sandbox.id, taken.expiresAt);
    const record = current();
    const removal = { pool, store: deps.store, now };
    // Another job may have renewed it meanwhile, or its session was deleted.
    if (record === null || !isStillDue()) return void (await removeSnapshot(removal, stored));
    pool.saveSnapshot({ ...record, storedAs: taken.id, expiresAt: taken.expiresAt, renewedAt: now });
    log("info", "a snapshot was renewed", { snapshot: snapshot.id, storedAs: taken.id });
    await removeSnapshot(removal, { ...stored, id: record.storedAs ?? record.id });
  } catch (error) {
    log("warn", "could not renew a snapshot before it expires", { snapshot: snapshot.id, reason: String(error) });
  }
}
