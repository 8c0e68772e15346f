import { join } from "node:path";
import { type LeaseUse, slotsOf } from "../core/admission.ts";
import type { SnapshotRecord } from "../core/snapshot-record.ts";
import type { Database } from "../jobs/store/database.ts";
import type { Driver } from "../jobs/store/driver.ts";
import { createLeaseStore } from "../jobs/store/lease-store.ts";
import { POOL_VERSION } from "../jobs/store/pool-store.ts";
import { createSessionProjectStore } from "../jobs/store/session-project-store.ts";
import { createSnapshotRecords } from "../jobs/store/snapshot-store.ts";
import { openStateFile } from "../jobs/store/state-file.ts";
import { toReason } from "../jobs/store/unusable.ts";
import { createWarmStore } from "../jobs/store/warm-store.ts";
import type { Clock } from "../shared/clock.ts";

/** What the file that all processes share says. */
export interface PoolReading {
  readonly leases: readonly LeaseUse[];
  readonly running: number;
  readonly queued: number;
  readonly problems: readonly string[];
}

export interface PoolReader {
  /** Never throws. */
  read(): PoolReading;
  /** The newest snapshots of a session that were asked for, oldest first. Never throws. */
  snapshots(session: string): readonly SnapshotRecord[];
  /** null = it has none. @throws PluginError `config_invalid` when the file cannot be read */
  projectOf(session: string): string | null;
  knowsSnapshot(id: string): boolean;
  /** What sandboxes that are kept ready for a session have cost so far, USD, and cost per hour. Never throws. */
  warmCost(session: string): { readonly usd: number; readonly usdPerHour: number };
  /** Differs where any of this may have changed. */
  version(): string;
  close(): void;
}

/** Leases expire without a change of the file. */
const READ_AGAIN_MS = 5_000;
const MOST_SNAPSHOTS = 200;

export function openPoolReader(driver: Driver, stateDir: string, clock: Pick<Clock, "now">): PoolReader {
  const file = openStateFile(driver, join(stateDir, "pool.db"), POOL_VERSION);
  let last: { readonly version: string; readonly at: number; readonly reading: PoolReading } | null = null;
  const found = new Map<string, { readonly version: string; readonly snapshots: readonly SnapshotRecord[] }>();

  const attempt = <T>(work: (database: Database) => T, otherwise: T): T => {
    try {
      return file.read(work) ?? otherwise;
    } catch {
      return otherwise; // what is wrong with the file is said once, with the leases
    }
  };

  function readAnew(now: number): PoolReading {
    const nothing = { leases: [], running: 0, queued: 0, problems: [] };
    try {
      const read = (database: Database): PoolReading => {
        const store = createLeaseStore(database);
        const { leases } = store.poolState(now);
        return {
          leases,
          running: slotsOf(leases),
          queued: store.queuedUntil(Number.MAX_SAFE_INTEGER, now),
          problems: [],
        };
      };
      return file.read(read) ?? nothing;
    } catch (error) {
      return { ...nothing, problems: [`Slots, GPUs and snapshots are not known: ${toReason(error)}`] };
    }
  }

  return {
    read() {
      const now = clock.now();
      const version = file.version();
      if (last?.version !== version || now - last.at >= READ_AGAIN_MS)
        last = { version, at: now, reading: readAnew(now) };
      return last.reading;
    },
    snapshots(session) {
      const version = file.version();
      const known = found.get(session);
      if (known?.version === version) return known.snapshots;
      const snapshots = attempt(
        (database) => createSnapshotRecords(database).requestedSnapshots(session, MOST_SNAPSHOTS).newest,
        [],
      );
      found.set(session, { version, snapshots });
      return snapshots;
    },
    projectOf: (session) => file.read((database) => createSessionProjectStore(database).projectOf(session)),
    knowsSnapshot: (id) => attempt((database) => createSnapshotRecords(database).knowsSnapshot(id), false),
    warmCost: (session) =>
      attempt((database) => createWarmStore(database).warmCost(session, clock.now()), { usd: 0, usdPerHour: 0 }),
    version: () => file.version(),
    close: file.close,
  };
}
