import type { ProviderName } from "../../config/provider-names.ts";
import type { SnapshotStore } from "../../sandboxes/port.ts";
import type { LineageStore, StoredSnapshot } from "../store/lineage-store.ts";

export interface RemovalDeps {
  readonly pool: Pick<LineageStore, "saveUnwanted" | "unneeded" | "deleteLineage">;
  readonly store: (provider: ProviderName) => Promise<SnapshotStore>;
  readonly now: number;
}

/**
 * Removes a snapshot that nobody asks for any more, and what was kept only for it. One that others were made from, and may
 * need, is kept until those are gone; garbage collection removes what is left over.
 * @returns the ids of the snapshots that were removed
 * @throws PluginError `snapshot_failed`
 */
export async function removeSnapshot(deps: RemovalDeps, snapshot: StoredSnapshot): Promise<string[]> {
  const store = await deps.store(snapshot.provider);
  if (!store.derives(snapshot.id)) {
    await store.remove(snapshot.id);
    deps.pool.deleteLineage(snapshot.id);
    return [snapshot.id];
  }
  deps.pool.saveUnwanted(snapshot);
  return removeUnneeded(deps);
}

/** Removes the snapshots that were kept for others and are no longer needed. @returns their ids @throws PluginError `snapshot_failed` */
export async function removeUnneeded({ pool, store, now }: RemovalDeps): Promise<string[]> {
  const removed: string[] = [];
  for (let unneeded = pool.unneeded(now); unneeded.length > 0; unneeded = pool.unneeded(now))
    for (const { id, provider } of unneeded) {
      await (await store(provider)).remove(id);
      pool.deleteLineage(id); // what it was made from may be unneeded now
      removed.push(id);
    }
  return removed;
}
