import { z } from "zod";
import type { Database } from "./database.ts";
import type { RowReader } from "./rows.ts";
import {
  costOf,
  type FoundWarm,
  isAbandoned,
  SELECT_WARM,
  type StoredWarm,
  toRecord,
  type WarmRecord,
  type WarmSandbox,
  warmRow,
} from "./warm-rows.ts";

/*
 * Sandboxes that are kept ready, of all processes. A row is written before its sandbox is asked for, and stays until the
 * sandbox is a job's or has ended: so its GPUs and its money count, and whoever finds the sandbox by its tag knows whether
 * anybody wants it. Who gets it is decided in one transaction.
 */

export interface WarmStore {
  /** In the order in which they were begun. Those of dead processes too. */
  warmSandboxes(now: number): FoundWarm[];
  /** Records the one that `decide` wants to be made, in one transaction; null = none. @returns it */
  beginWarm(decide: (all: readonly WarmSandbox[]) => WarmSandbox | null, now: number): WarmSandbox | null;
  /** It is there. @returns false where it is to be ended instead: somebody has asked for that meanwhile */
  finishWarm(id: string, sandboxID: string, record: Partial<WarmRecord>): boolean;
  /** Gives a job the one that `choose` takes, in one transaction; it is nobody else's from then on. */
  takeWarm(
    jobID: string,
    owner: string,
    choose: (free: readonly WarmSandbox[]) => WarmSandbox | null,
    now: number,
  ): WarmSandbox | null;
  /** The job does not want it any more. */
  returnWarm(id: string, jobID: string): void;
  /** Nobody gets it from now on; its owner ends it. @returns false if a job has it */
  endWarm(id: string, jobID?: string): boolean;
  /** It is a job's, or has ended: what it has cost is its environment's from now on. */
  deleteWarm(id: string, now: number): void;
  renewWarm(owner: string, now: number): void;
  /** What is kept ready, or was, has cost so far, USD, and costs per hour. */
  warmCost(orchestrator: string, now: number): { readonly usd: number; readonly usdPerHour: number };
  /** The same by environment, of those that have cost anything. */
  warmCosts(orchestrator: string, now: number): ReadonlyMap<string, number>;
  /** Adds what was spent to make one. */
  addWarmCost(orchestrator: string, environment: string, usd: number): void;
}

export const WARM_TABLES = [
  `warm_sandboxes (id TEXT PRIMARY KEY, state TEXT NOT NULL, owner TEXT NOT NULL, job TEXT, sandbox TEXT, key TEXT NOT NULL,
     environment TEXT NOT NULL, orchestrator TEXT NOT NULL, provider TEXT NOT NULL, expires_at INTEGER NOT NULL,
     record TEXT NOT NULL)`,
  "warm_costs (orchestrator TEXT NOT NULL, environment TEXT NOT NULL, usd REAL NOT NULL, PRIMARY KEY (orchestrator, environment))",
];

/** A process in another container that has not renewed them within this time is taken for dead, as with leases. */
const TTL_MS = 30_000;

const costRow = z.object({ environment: z.string(), usd: z.number() });

export function checkWarmRows(rows: RowReader): void {
  rows.all(warmRow, SELECT_WARM);
  rows.all(costRow, "SELECT environment, usd FROM warm_costs");
}

export function createWarmStore(database: Database): WarmStore {
  const all = () => database.all(warmRow, `${SELECT_WARM} ORDER BY rowid`);
  const find = (id: string) => database.all(warmRow, `${SELECT_WARM} WHERE id = ?`, id)[0];
  const save = (warm: WarmSandbox, now: number) =>
    database.run(
      `INSERT OR REPLACE INTO warm_sandboxes (id, state, owner, job, sandbox, key, environment, orchestrator, provider, expires_at, record)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[warm.id, warm.state, warm.owner, warm.jobID, warm.sandboxID, warm.key, warm.environment],
      ...[warm.orchestrator, warm.provider, now + TTL_MS, toRecord(warm)],
    );
  const change = (id: string, changed: (warm: StoredWarm) => WarmSandbox | null): boolean =>
    database.transaction(() => {
      const warm = find(id);
      const next = warm && changed(warm);
      if (!warm || !next) return false;
      database.run(
        "UPDATE warm_sandboxes SET state = ?, owner = ?, job = ?, sandbox = ?, record = ? WHERE id = ?",
        ...[next.state, next.owner, next.jobID, next.sandboxID, toRecord(next), id],
      );
      return true;
    });
  const addCost = (orchestrator: string, environment: string, usd: number) => {
    if (usd <= 0) return;
    database.run(
      `INSERT INTO warm_costs (orchestrator, environment, usd) VALUES (?, ?, ?)
       ON CONFLICT (orchestrator, environment) DO UPDATE SET usd = usd + excluded.usd`,
      ...[orchestrator, environment, usd],
    );
  };
  const settled = (orchestrator: string) =>
    database.all(costRow, "SELECT environment, usd FROM warm_costs WHERE orchestrator = ?", orchestrator);
  const open = (orchestrator: string) => database.all(warmRow, `${SELECT_WARM} WHERE orchestrator = ?`, orchestrator);
  return {
    warmSandboxes: (now) => all().map((warm) => ({ ...warm, isAbandoned: isAbandoned(warm, now) })),
    beginWarm: (decide, now) =>
      database.transaction(() => {
        const warm = decide(all().filter((each) => !isAbandoned(each, now)));
        if (warm) save(warm, now);
        return warm;
      }),
    finishWarm: (id, sandboxID, known) =>
      change(id, (warm) => (warm.state === "making" ? { ...warm, ...known, state: "ready", sandboxID } : null)),
    takeWarm: (jobID, owner, choose, now) =>
      database.transaction(() => {
        const free = all().filter((warm) => {
          if (warm.state === "ending" || isAbandoned(warm, now)) return false;
          return warm.jobID === null || warm.jobID === jobID;
        });
        const own = free.filter((warm) => warm.jobID === jobID);
        const chosen = choose(own.length > 0 ? own : free);
        if (!chosen) return null;
        const taken = { ...chosen, jobID, owner, takenAt: now };
        save(taken, now);
        return taken;
      }),
    returnWarm: (id, jobID) =>
      void change(id, (warm) => (warm.jobID === jobID ? { ...warm, jobID: null, takenAt: null } : null)),
    endWarm: (id, jobID) =>
      change(id, (warm) =>
        warm.jobID === (jobID ?? null) ? { ...warm, state: "ending", jobID: null, takenAt: null } : null,
      ),
    deleteWarm: (id, now) =>
      database.transaction(() => {
        const warm = find(id);
        if (!warm) return;
        database.run("DELETE FROM warm_sandboxes WHERE id = ?", id);
        addCost(warm.orchestrator, warm.environment, costOf(warm, now));
      }),
    addWarmCost: addCost,
    renewWarm: (owner, now) =>
      database.run("UPDATE warm_sandboxes SET expires_at = ? WHERE owner = ?", now + TTL_MS, owner),
    warmCost(orchestrator, now) {
      const rows = open(orchestrator);
      const isCounted = (warm: StoredWarm) => warm.since !== null && warm.takenAt === null;
      return {
        usd: [...settled(orchestrator).map(({ usd }) => usd), ...rows.map((warm) => costOf(warm, now))].reduce(add, 0),
        usdPerHour: rows
          .filter(isCounted)
          .map(({ usdPerHour }) => usdPerHour)
          .reduce(add, 0),
      };
    },
    warmCosts(orchestrator, now) {
      const costs = new Map<string, number>();
      const count = (environment: string, usd: number) => {
        if (usd > 0) costs.set(environment, (costs.get(environment) ?? 0) + usd);
      };
      for (const { environment, usd } of settled(orchestrator)) count(environment, usd);
      for (const warm of open(orchestrator)) count(warm.environment, costOf(warm, now));
      return costs;
    },
  };
}

const add = (a: number, b: number): number => a + b;
