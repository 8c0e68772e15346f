import { z } from "zod";
import { formatGpu, type GpuRequest, gpusOf } from "../../config/gpu.ts";
import type { ProviderName } from "../../config/provider-names.ts";
import { usdOver } from "../../core/cost.ts";
import type { Database } from "./database.ts";
import { providerName } from "./job-record.ts";
import type { Lease } from "./lease-rows.ts";
import { isLost } from "./row-owners.ts";
import { json, type RowSchema } from "./rows.ts";

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

export interface WarmRecord {
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
  /** Snapshot of its environment's image below that; null = its environment has no set-up. */
  readonly image: string | null;
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

const time = z.number();

const record = z.object({
  madeAt: time,
  since: time.nullable(),
  until: time.nullable(),
  usdPerHour: z.number(),
  gpu: z.string().nullable(),
  devices: z.array(z.string()).nullable(),
  start: z.string().nullable(),
  image: z.string().nullable().default(null),
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

export type StoredWarm = WarmSandbox & { readonly expiresAt: number };

export const warmRow: RowSchema<StoredWarm> = z
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

export const SELECT_WARM =
  "SELECT id, state, owner, job, sandbox, key, environment, orchestrator, provider, expires_at, record FROM warm_sandboxes";

/** Whether the process that has it may be taken for dead. */
export const isAbandoned = ({ owner, expiresAt }: StoredWarm, now: number): boolean => isLost(owner, expiresAt, now);

export const costOf = ({ since, until, takenAt, usdPerHour }: WarmRecord, now: number): number =>
  since === null ? 0 : usdOver(usdPerHour, Math.min(now, until ?? now, takenAt ?? now) - since);

export const toRecord = ({
  madeAt,
  since,
  until,
  usdPerHour,
  gpu,
  devices,
  start,
  image,
  tree,
  takenAt,
}: WarmRecord): string =>
  JSON.stringify({
    madeAt,
    since,
    until,
    usdPerHour,
    gpu: gpu && formatGpu(gpu),
    devices,
    start,
    image,
    tree,
    takenAt,
  });

/** The processes that keep sandboxes ready. */
export const warmOwners = (database: Pick<Database, "all">): string[] =>
  database.all(ownerRow, "SELECT DISTINCT owner FROM warm_sandboxes").map(({ owner }) => owner);

const ownerRow = z.object({ owner: z.string() });

/** What sandboxes that are kept ready hold of the GPUs, as leases without a slot; of the job that has taken one, as its own. */
export function warmLeases(database: Pick<Database, "all">, leases: readonly Lease[], now: number): Lease[] {
  const running = new Set(leases.filter(({ slots }) => slots > 0).map(({ jobID }) => jobID));
  return database
    .all(warmRow, SELECT_WARM)
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
