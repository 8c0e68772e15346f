import { z } from "zod";
import { formatGpu, type GpuRequest, gpusOf } from "../../config/gpu.ts";
import type { ProviderName } from "../../config/provider-names.ts";
import { usdOver } from "../../core/cost.ts";
import { isNotAlive } from "../../shared/process-identity.ts";
import type { Database } from "./database.ts";
import { providerName } from "./job-record.ts";
import type { Lease } from "./lease-rows.ts";
import { json, type RowReader, type RowSchema } from "./rows.ts";

/*
 * Sandboxes that are kept ready, of all processes. A row is written before its sandbox is asked for, and stays until the
 * sandbox is a job's or has ended: so its GPUs and its money count, and whoever finds the sandbox by its tag knows whether
 * anybody wants it. Who gets it is decided in one transaction.
 */

/** The project's files that a sandbox was made with. */
export interface WarmTree {
  readonly project: string;
  readonly commit: string;
  /** Names its empty folders, which are in no commit. */
  readonly folders: string;
  readonly form: "repository" | "files";
  /** These folders, where set-up may have left others. Absent = its environment has no set-up. */
  readonly emptyFolders?: readonly string[] | undefined;
  /** What the job that gets it should know of its files, one sentence each. */
  readonly notes: readonly string[];
}

interface WarmRecord {
  /** When it was begun, epoch ms. */
  readonly madeAt: number;
  /** Since when it costs money, epoch ms; null = not yet. */
  readonly since: number | null;
  /** When its provider ends it, epoch ms; null = never. */
  readonly until: number | null;
  readonly usdPerHour: number;
  readonly gpu: GpuRequest | null;
  /** Which GPUs of this machine these are; null = they are elsewhere. */
  readonly devices: readonly string[] | null;
  /** Snapshot that it was made from; null = the bare environment. */
  readonly start: string | null;
  readonly tree: WarmTree | null;
  /** When a job took it, epoch ms: from then on its cost is the job's. null = it is ready, or is being made. */
  readonly takenAt: number | null;
}

export interface WarmSandbox extends WarmRecord {
  /** Also the value of its sandbox's tag. */
  readonly id: string;
  readonly state: "making" | "ready" | "ending";
  /** The process that makes it or has it, as `toOwner` names it. */
  readonly owner: string;
  /** The job that has taken it; null = none. */
  readonly jobID: string | null;
  /** null = it is being made. */
  readonly sandboxID: string | null;
  /** Sandboxes with the same key are alike in all that a job can see. */
  readonly key: string;
  readonly environment: string;
  /** The session that it was begun for, whose budget it counts against. */
  readonly orchestrator: string;
  readonly provider: ProviderName;
}

export interface FoundWarm extends WarmSandbox {
  /** Its process is dead. */
  readonly isAbandoned: boolean;
}

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

/** As for leases: a process in another container that has not renewed them for so long is dead. */
const TTL_MS = 30_000;

const time = z.number();

const record = z.object({
  madeAt: time,
  since: time.nullable(),
  until: time.nullable(),
  usdPerHour: z.number(),
  gpu: z.string().nullable(),
  devices: z.array(z.string()).nullable(),
  start: z.string().nullable(),
  tree: z
    .object({
      project: z.string(),
      commit: z.string(),
      folders: z.string(),
      form: z.enum(["repository", "files"]),
      emptyFolders: z.array(z.string()).optional(),
      notes: z.array(z.string()).default([]),
    })
    .nullable(),
  takenAt: time.nullable().default(null),
});

type StoredWarm = WarmSandbox & { readonly expiresAt: number };

const warmRow: RowSchema<StoredWarm> = z
  .object({
    id: z.string(),
    state: z.enum(["making", "ready", "ending"]),
    owner: z.string(),
    job: z.string().nullable(),
    sandbox: z.string().nullable(),
    key: z.string(),
    environment: z.string(),
    orchestrator: z.string(),
    provider: providerName,
    expires_at: z.number(),
    record: json(record),
  })
  .transform(({ job, sandbox, expires_at, record: { gpu, devices, ...known }, ...row }) => {
    const request = gpusOf(gpu)[0] ?? null;
    return {
      ...row,
      ...known,
      jobID: job,
      sandboxID: sandbox,
      expiresAt: expires_at,
      devices,
      gpu: request && devices ? { ...request, onMachine: true } : request,
    };
  });

const costRow = z.object({ environment: z.string(), usd: z.number() });
const SELECT =
  "SELECT id, state, owner, job, sandbox, key, environment, orchestrator, provider, expires_at, record FROM warm_sandboxes";

export function checkWarmRows(rows: RowReader): void {
  rows.all(warmRow, SELECT);
  rows.all(costRow, "SELECT environment, usd FROM warm_costs");
}

/** Whether the process that has it may be taken for dead. */
const isAbandoned = ({ owner, expiresAt }: StoredWarm, now: number): boolean => expiresAt < now || isNotAlive(owner);

const costOf = ({ since, until, takenAt, usdPerHour }: WarmRecord, now: number): number =>
  since === null ? 0 : usdOver(usdPerHour, Math.min(now, until ?? now, takenAt ?? now) - since);

const toRecord = ({ madeAt, since, until, usdPerHour, gpu, devices, start, tree, takenAt }: WarmRecord): string =>
  JSON.stringify({ madeAt, since, until, usdPerHour, gpu: gpu && formatGpu(gpu), devices, start, tree, takenAt });

/** What sandboxes that are kept ready hold of the GPUs, as leases without a slot; of the job that has taken one, as its own. */
export function warmLeases(database: Pick<Database, "all">, leases: readonly Lease[], now: number): Lease[] {
  const running = new Set(leases.filter(({ slots }) => slots > 0).map(({ jobID }) => jobID));
  return database
    .all(warmRow, SELECT)
    .filter((warm) => warm.gpu !== null && !isAbandoned(warm, now) && !running.has(warm.jobID ?? ""))
    .map(({ id, jobID, orchestrator, owner, gpu, devices }) => ({
      id,
      jobID: jobID ?? id,
      orchestrator,
      owner,
      slots: 0,
      gpu,
      ...(devices && { devices }),
    }));
}

export function createWarmStore(database: Database): WarmStore {
  const all = () => database.all(warmRow, `${SELECT} ORDER BY rowid`);
  const find = (id: string) => database.all(warmRow, `${SELECT} WHERE id = ?`, id)[0];
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
  const open = (orchestrator: string) => database.all(warmRow, `${SELECT} WHERE orchestrator = ?`, orchestrator);
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
