import { z } from "zod";
import type { LeaseUse, QueueEntry } from "../../core/admission.ts";
import { isNotAlive, toProcessName } from "../../shared/process-identity.ts";
import { type CancelRequests, checkCancelRows, createCancelRequests } from "./cancel-requests.ts";
import type { Database } from "./database.ts";
import {
  checkGpuRows,
  forgetGpus,
  type Lease,
  type LeaseRequest,
  leaseRow,
  type QueueRequest,
  queueRow,
  SELECT_LEASES,
  SELECT_QUEUE,
  saveGpus,
  saveWish,
} from "./lease-rows.ts";
import { isLost, isSurelyAlive, leaveToExpire } from "./row-owners.ts";
import { type RowReader, remembered } from "./rows.ts";
import { warmLeases, warmOwners } from "./warm-rows.ts";

export type { Lease, LeaseRequest, QueueRequest } from "./lease-rows.ts";

/** Leases and queue of all processes. */
export interface PoolState {
  readonly leases: readonly Lease[];
  /** The next job first. Read as far as somebody looks at it: thousands may be queued, and few are next. */
  readonly queue: Iterable<QueueEntry>;
  /** Devices of this machine that the sandbox of the job in question has already: it is to keep them. */
  readonly ownDevices?: readonly string[];
}

/** A lease that was not recorded any more when it was to be renewed. */
export interface Lapsed {
  readonly lease: Lease;
  /** Another process has a lease for its job. */
  readonly isTaken: boolean;
}

/** Running slots, GPUs and the queue for them, shared by every OpenCode process that has the same state directory. */
export interface LeaseStore extends CancelRequests {
  /** Only reads, as prompts and views ask often. Leases and places of dead processes do not count. */
  poolState(now: number): PoolState;
  /** The places of those of these jobs that are queued: 1 = next. */
  positions(jobIDs: readonly string[], now: number): ReadonlyMap<string, number>;
  /** How many jobs were queued until then. */
  queuedUntil(since: number, now: number): number;
  /** Whether another live process has leases, queued jobs or sandboxes that are kept ready. */
  isShared(owner: string, now: number): boolean;
  /**
   * Takes a lease in one transaction. The job keeps its place in the queue until `leaveQueue`.
   * @param decide sees the pool without the job's present leases; returns what to take, null = nothing
   * @returns null if nothing was taken, or while another process runs the job
   */
  acquireLease(lease: LeaseRequest, decide: (pool: PoolState) => LeaseUse | null, now: number): Lease | null;
  /** Changes what a lease takes, in one transaction, if `decide` allows it, which sees the pool without that lease. */
  changeLease(lease: Lease, use: LeaseUse, decide: (pool: PoolState) => boolean, now: number): boolean;
  /**
   * Takes leases again that lapsed meanwhile, e.g. while the machine slept: their jobs still run, as a rule.
   * @returns those that lapsed. Where another process has the job by now, it keeps it
   */
  renewLeases(leases: Iterable<Lease>, now: number): Lapsed[];
  /** The process gives up what it still holds: it lasts until it expires, also where the operating-system process goes on. */
  leave(owner: string): void;
  /** The process id of whoever has a lease and has not renewed it for a while; null = it is renewed, or not known. */
  silentHolder(leaseID: string, now: number): string | null;
  releaseLease(leaseID: string): void;
  /** Only reads. True for every lease while records are lost, see `unsettledUntil`. */
  isLeaseAlive(leaseID: string, now: number): boolean;
  /**
   * Until when other processes may hold leases that are not recorded, because the records were lost: each process
   * records its leases again at its next renewal. Epoch ms; in the past if no records were lost.
   */
  unsettledUntil(): number;
  /** Puts jobs into the queue, in the order in which they were queued first. To be repeated at every renewal of leases. */
  enqueue(jobs: Iterable<QueueRequest>, now: number): void;
  leaveQueue(jobID: string): void;
}

/** A lease not renewed for this long belongs to a dead process, unless it is known to live. */
const LEASE_TTL_MS = 30_000;
export const LEASE_RENEW_MS = 5_000;
/** Several renewals: time for every live process to record its leases again. */
const SETTLE_MS = 3 * LEASE_RENEW_MS;

/** Owner id of the leases and sandboxes of one plugin instance; it lets other processes see whether its process is alive. */
export const toOwner = (instanceID: string): string => toProcessName(instanceID);

const LOOK_AGAIN_MS = 1_000;
const KEYS = { leases: "id", queue: "job" } as const;
/** Places of the queue that are read at once: as many as usually start together, and more where none of those may. */
const FEW_PLACES = 32;
const MANY_PLACES = 1_000;

/** When records were lost and these took their place. */
export const LOSS_MIGRATION = "CREATE TABLE losses (at INTEGER NOT NULL)";
export const recordLoss = (database: Pick<Database, "run">, now: number): void =>
  database.run("INSERT INTO losses (at) VALUES (?)", now);

const ownerRow = z.object({ owner: z.string() });
const nextOwnerRow = z.object({ owner: z.string().nullable() });
const positionRow = z.object({ job: z.string(), position: z.number() });
const countRow = z.object({ n: z.number() });
const lossRow = z.object({ at: z.number() });
const lastLossRow = z.object({ at: z.number().nullable() });
const expiringRow = z.object({ owner: z.string(), expires_at: z.number() });
const SELECT_EXPIRY = "SELECT owner, expires_at FROM leases WHERE id = ?";
const expiryRow = z.object({ expires_at: z.number() });

export function checkLeaseRows(rows: RowReader): void {
  checkGpuRows(rows);
  checkCancelRows(rows);
  rows.all(lossRow, "SELECT at FROM losses");
  rows.all(z.object({ job: z.string() }), "SELECT lease AS id, job FROM borrowed_slots");
  rows.all(expiryRow, "SELECT expires_at FROM leases UNION ALL SELECT expires_at FROM queue");
}

export function createLeaseStore(database: Database): LeaseStore {
  // Whoever starts a job looks at all leases and at the head of the queue, of which little has changed since the last time.
  const knownLease = remembered(leaseRow);
  const knownPlace = remembered(queueRow);
  let reclaimedAt = Number.NEGATIVE_INFINITY;
  /** Nobody counts what has expired or belongs to the dead, so that it is deleted now and then is enough. */
  const reclaim = (now: number) => {
    if (now >= reclaimedAt && now < reclaimedAt + LOOK_AGAIN_MS) return;
    reclaimedAt = now;
    for (const table of ["leases", "queue"] as const) {
      const kept = table === "leases" ? JSON.stringify(lapsed(now).map(({ id }) => id)) : "[]";
      database.run(
        `DELETE FROM ${table} WHERE expires_at < ? AND ${KEYS[table]} NOT IN (SELECT value FROM json_each(?))`,
        now,
        kept,
      );
      for (const owner of ownersIn(table))
        if (seemsDead(owner, now)) database.run(`DELETE FROM ${table} WHERE owner = ?`, owner);
    }
    database.run("DELETE FROM borrowed_slots WHERE lease NOT IN (SELECT id FROM leases)");
    forgetGpus(database);
  };
  /** Leases that were not renewed in time though their process lives, such as one that was suspended: it goes on later. */
  const lapsed = (now: number): Lease[] =>
    database
      .all(knownLease, `${SELECT_LEASES} WHERE leases.expires_at < ?`, now)
      .filter(({ owner }) => isSurelyAlive(owner));
  /** One look into an index for each, however many rows it has. */
  const ownersIn = (table: "leases" | "queue"): string[] => {
    const owners: string[] = [];
    for (let owner: string | null | undefined = ""; ; owners.push(owner)) {
      owner = database.get(nextOwnerRow, `SELECT min(owner) AS owner FROM ${table} WHERE owner > ?`, owner)?.owner;
      if (owner === null || owner === undefined) return owners;
    }
  };
  const deadOwners = (now: number): string =>
    JSON.stringify(ownersIn("queue").filter((owner) => seemsDead(owner, now)));
  const save = (lease: Lease, now: number) => {
    if (lease.borrowedFrom)
      database.run("INSERT OR REPLACE INTO borrowed_slots (lease, job) VALUES (?, ?)", lease.id, lease.borrowedFrom);
    else database.run("DELETE FROM borrowed_slots WHERE lease = ?", lease.id);
    database.run(
      `INSERT INTO leases (id, job, orchestrator, owner, slots, gpu, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET slots = excluded.slots, gpu = excluded.gpu, expires_at = excluded.expires_at`,
      lease.id,
      lease.jobID,
      lease.orchestrator,
      lease.owner,
      lease.slots,
      saveGpus(database, lease.id, lease),
      now + LEASE_TTL_MS,
    );
  };
  const renew = (lease: Lease, now: number): Lapsed[] => {
    if (database.get(ownerRow, "SELECT owner FROM leases WHERE id = ?", lease.id)) {
      save(lease, now);
      return [];
    }
    const isTaken =
      database.get(ownerRow, "SELECT owner FROM leases WHERE job = ? AND slots > 0", lease.jobID) !== undefined;
    if (!isTaken) save(lease, now);
    return [{ lease, isTaken }];
  };
  /** Until when an owner that was alive is not looked at again: that takes files of the system, for every job that starts. */
  const aliveUntil = new Map<string, number>();
  const seemsDead = (owner: string, now: number): boolean => {
    const until = aliveUntil.get(owner) ?? 0;
    if (now < until && until <= now + LOOK_AGAIN_MS) return false;
    const isDead = isNotAlive(owner);
    if (isDead) aliveUntil.delete(owner);
    else aliveUntil.set(owner, now + LOOK_AGAIN_MS);
    return isDead;
  };
  function* queueFrom(now: number): Generator<QueueEntry> {
    let last = { since: Number.MIN_SAFE_INTEGER, seq: 0 };
    for (let count = FEW_PLACES; ; count = MANY_PLACES) {
      const rows = database.all(
        knownPlace,
        `${SELECT_QUEUE} WHERE expires_at >= ? AND (since, seq) > (?, ?) ORDER BY since, seq LIMIT ?`,
        ...[now, last.since, last.seq, count],
      );
      for (const { seq: _, ...place } of rows) if (!seemsDead(place.owner, now)) yield place;
      const end = rows.at(-1);
      if (!end || rows.length < count) return;
      last = end;
    }
  }
  const poolState = (now: number): PoolState => {
    const current = database.all(knownLease, `${SELECT_LEASES} WHERE expires_at >= ?`, now);
    const leases = [...current.filter(({ owner }) => !seemsDead(owner, now)), ...lapsed(now)];
    const all = [...leases, ...warmLeases(database, leases, now)];
    return { leases: all, queue: { [Symbol.iterator]: () => queueFrom(now) } };
  };
  const unsettledUntil = () => {
    const at = database.get(lastLossRow, "SELECT max(at) AS at FROM losses")?.at ?? null;
    return at === null ? 0 : at + SETTLE_MS;
  };
  return {
    poolState,
    positions(jobIDs, now) {
      const found = database.all(
        positionRow,
        `SELECT job, position FROM (SELECT job, row_number() OVER (ORDER BY since, seq) AS position FROM queue
           WHERE expires_at >= ? AND owner NOT IN (SELECT value FROM json_each(?)))
           WHERE job IN (SELECT value FROM json_each(?))`,
        ...[now, deadOwners(now), JSON.stringify(jobIDs)],
      );
      return new Map(found.map(({ job, position }) => [job, position]));
    },
    queuedUntil: (since, now) =>
      database.get(
        countRow,
        `SELECT COUNT(*) AS n FROM queue WHERE since <= ? AND expires_at >= ?
           AND owner NOT IN (SELECT value FROM json_each(?))`,
        ...[since, now, deadOwners(now)],
      )?.n ?? 0,
    isShared: (own, now) =>
      [...ownersIn("leases"), ...ownersIn("queue"), ...warmOwners(database)].some(
        (owner) => owner !== own && !seemsDead(owner, now),
      ),
    acquireLease: (lease, decide, now) =>
      database.transaction(() => {
        reclaim(now);
        const { leases, queue } = poolState(now);
        if (leases.some(({ jobID, owner, slots }) => jobID === lease.jobID && owner !== lease.owner && slots > 0))
          return null;
        const isOwn = ({ jobID }: Lease) => jobID === lease.jobID;
        const ownDevices = leases.filter(isOwn).flatMap(({ devices }) => devices ?? []);
        const use = decide({ leases: leases.filter((each) => !isOwn(each)), queue, ownDevices });
        if (!use) return null;
        const taken = { ...lease, ...use };
        database.run("DELETE FROM leases WHERE job = ?", lease.jobID); // what its sandbox kept from an earlier turn
        save(taken, now);
        return taken;
      }),
    changeLease: (lease, use, decide, now) =>
      database.transaction(() => {
        reclaim(now);
        const { leases, queue } = poolState(now);
        if (!decide({ leases: leases.filter(({ id }) => id !== lease.id), queue })) return false;
        save({ ...lease, ...use }, now);
        return true;
      }),
    renewLeases: (leases, now) => database.transaction(() => [...leases].flatMap((lease) => renew(lease, now))),
    leave: (owner) => leaveToExpire(database, owner),
    silentHolder(id, now) {
      const row = database.get(expiringRow, SELECT_EXPIRY, id);
      return row && row.expires_at - LEASE_TTL_MS + SETTLE_MS < now ? row.owner.split(":")[0] || null : null;
    },
    releaseLease: (id) => database.run("DELETE FROM leases WHERE id = ?", id),
    isLeaseAlive: (id, now) => {
      const lease = database.get(expiringRow, SELECT_EXPIRY, id);
      return (lease !== undefined && !isLost(lease.owner, lease.expires_at, now)) || now < unsettledUntil();
    },
    unsettledUntil,
    enqueue: (jobs, now) =>
      database.transaction(() => {
        for (const request of jobs) {
          const { jobID, owner, since } = request;
          database.run(
            `INSERT INTO queue (job, owner, since, gpu, expires_at) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (job) DO UPDATE SET owner = excluded.owner, since = excluded.since,
               expires_at = excluded.expires_at`,
            jobID,
            owner,
            since,
            saveWish(database, request),
            now + LEASE_TTL_MS,
          );
        }
      }),
    ...createCancelRequests(database),
    leaveQueue(jobID) {
      database.run("DELETE FROM queue WHERE job = ?", jobID);
      database.run("DELETE FROM machine_gpu_queue WHERE job = ?", jobID);
    },
  };
}
