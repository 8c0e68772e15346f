import { z } from "zod";
import { formatGpu, type GpuRequest, gpusOf } from "../../config/gpu.ts";
import type { LeaseUse } from "../../core/admission.ts";
import { isBurstHolder } from "../../core/burst.ts";
import type { Database } from "./database.ts";
import type { RowReader, RowSchema } from "./rows.ts";

export interface LeaseRequest {
  readonly id: string;
  readonly jobID: string;
  readonly orchestrator: string;
  readonly owner: string;
}

export type Lease = LeaseRequest & LeaseUse;

/** A queued job and the process that will run it. `gpu`: the GPUs that its task asks for, `isOnMachine`: this machine's. */
export interface QueueRequest {
  readonly jobID: string;
  readonly owner: string;
  readonly since: number;
  readonly gpu: string | null;
  readonly isOnMachine?: boolean;
}

/** `gpu`: in `leases` the GPUs held, in `queue` the job's preferences in order. */
export const LEASE_MIGRATION = `
  ALTER TABLE leases ADD COLUMN slots INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE leases ADD COLUMN gpu TEXT;
  CREATE TABLE queue (seq INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL UNIQUE, owner TEXT NOT NULL,
    since INTEGER NOT NULL, gpu TEXT, expires_at INTEGER NOT NULL)`;

/** The leases that use another job's slot, by which other processes count right. */
export const BORROWED_SLOT_TABLE = "borrowed_slots (lease TEXT PRIMARY KEY, job TEXT NOT NULL)";

/** By its order, and by who waits in it. */
export const QUEUE_INDEXES = ["queue_by_place ON queue (since)", "queue_by_owner ON queue (owner)"];

/*
 * Leases and places of the queue as rows. GPUs of this machine are in tables of their own: earlier versions of the plugin,
 * which may run beside this one, do not know such GPUs, and would count them as Modal's.
 */

export const MACHINE_GPU_TABLES = [
  "machine_gpus (lease TEXT PRIMARY KEY, gpu TEXT NOT NULL, devices TEXT NOT NULL)",
  "machine_gpu_queue (job TEXT PRIMARY KEY, gpu TEXT NOT NULL)",
];

const gpuText = z.string().nullable();
const deviceIDs = z.string().transform((text) => text.split(",").filter((id) => id !== ""));

const onMachine = (gpus: readonly GpuRequest[]): readonly GpuRequest[] =>
  gpus.map((gpu) => ({ ...gpu, onMachine: true }));

export const leaseRow: RowSchema<Lease> = z
  .object({
    id: z.string(),
    job: z.string(),
    orchestrator: z.string(),
    owner: z.string(),
    slots: z.literal([0, 1]),
    borrowedFrom: z.string().nullable().default(null),
    gpu: gpuText.transform((text): GpuRequest | null => gpusOf(text)[0] ?? null),
    machineGpu: gpuText.default(null).transform((text): GpuRequest | null => onMachine(gpusOf(text))[0] ?? null),
    devices: deviceIDs.nullable().default(null),
  })
  .transform(({ job, borrowedFrom, gpu, machineGpu, devices, ...lease }) => ({
    ...lease,
    jobID: job,
    gpu: machineGpu ?? gpu,
    ...(borrowedFrom && { borrowedFrom }),
    ...(devices && { devices }),
  }));

export const queueRow = z
  .object({
    seq: z.number(),
    job: z.string(),
    owner: z.string(),
    since: z.number(),
    gpu: gpuText.transform(gpusOf),
    machineGpu: gpuText.default(null).transform((text) => onMachine(gpusOf(text))),
  })
  .transform(({ job, gpu, machineGpu, ...entry }) => ({
    ...entry,
    jobID: job,
    gpus: machineGpu.length > 0 ? machineGpu : gpu,
    ...(isBurstHolder(job) && { needsNoSlot: true }),
  }));

export const SELECT_LEASES = `SELECT id, leases.job, orchestrator, owner, slots, leases.gpu, expires_at, machine_gpus.gpu AS machineGpu, machine_gpus.devices AS devices,
  (SELECT job FROM borrowed_slots WHERE lease = leases.id) AS borrowedFrom
  FROM leases LEFT JOIN machine_gpus ON machine_gpus.lease = leases.id`;

/** To be followed by conditions. */
export const SELECT_QUEUE = `SELECT seq, queue.job, owner, since, queue.gpu, expires_at, machine_gpu_queue.gpu AS machineGpu
  FROM queue LEFT JOIN machine_gpu_queue ON machine_gpu_queue.job = queue.job`;

export function checkGpuRows(rows: RowReader): void {
  rows.all(leaseRow, SELECT_LEASES);
  rows.all(queueRow, SELECT_QUEUE);
}

type Writer = Pick<Database, "run">;

/** What the table of leases says of GPUs; those of this machine are saved beside it. */
export function saveGpus(database: Writer, id: string, { gpu, devices }: LeaseUse): string | null {
  if (!gpu || !devices) {
    database.run("DELETE FROM machine_gpus WHERE lease = ?", id);
    return gpu && formatGpu(gpu);
  }
  database.run(
    "INSERT OR REPLACE INTO machine_gpus (lease, gpu, devices) VALUES (?, ?, ?)",
    id,
    formatGpu(gpu),
    devices.join(","),
  );
  return null;
}

/** What the table of the queue says of the GPUs that a job waits for; those of this machine are saved beside it. */
export function saveWish(database: Writer, { jobID, gpu, isOnMachine = false }: QueueRequest): string | null {
  if (!isOnMachine || gpu === null) return gpu;
  database.run("INSERT OR REPLACE INTO machine_gpu_queue (job, gpu) VALUES (?, ?)", jobID, gpu);
  return null;
}

/** Deletes what belongs to no lease and no place any more. */
export function forgetGpus(database: Writer): void {
  database.run("DELETE FROM machine_gpus WHERE lease NOT IN (SELECT id FROM leases)");
  database.run("DELETE FROM machine_gpu_queue WHERE job NOT IN (SELECT job FROM queue)");
}
