import type { GpuRequest } from "../config/gpu.ts";
import type { MachineGpu } from "../sandboxes/machine-gpus.ts";
import { isOfType } from "./gpu-devices.ts";
import { countByType, describeRequest, machineUse, pickDevices } from "./machine-pool.ts";

/** What a lease takes from the pool. Without a slot it keeps the GPUs of a sandbox whose job has ended. */
export interface LeaseUse {
  readonly slots: 0 | 1;
  /** The job whose slot it uses in place of one of its own: that job waits for it. Absent or null = none. */
  readonly borrowedFrom?: string | null | undefined;
  readonly gpu: GpuRequest | null;
  /** Which GPUs of this machine these are; absent = they are elsewhere. */
  readonly devices?: readonly string[] | undefined;
}

/** A queued job of any process. */
export interface QueueEntry {
  readonly jobID: string;
  /** When it was queued, epoch ms. */
  readonly since: number;
  /** In order of preference; empty = none needed. */
  readonly gpus: readonly GpuRequest[];
  /** Whether it needs GPUs alone: a command of a job that has its slot. Absent = no. */
  readonly needsNoSlot?: boolean | undefined;
}

/** A place in the queue of all processes (1 = next), and what the job there waits for. */
export interface QueuePlace {
  readonly position: number;
  /** null = it only waits for its turn. */
  readonly reason: string | null;
}

export interface AdmissionState {
  /** Leases of all processes that share the state directory. */
  readonly leases: readonly LeaseUse[];
  /** Jobs ahead of the one in question, in the order of the queue. */
  readonly ahead: Iterable<QueueEntry>;
}

/** GPUs in use at once: in `total`, and by type. A type that is not named is limited by the total alone. */
export type GpuLimits = { readonly total: number } & Readonly<Record<string, number>>;

export interface AdmissionLimits {
  readonly maxRunningJobs: number;
  readonly gpus: GpuLimits;
  /** This machine's GPUs that jobs may be given; absent = none, or not known yet. */
  readonly machine?: readonly MachineGpu[];
}

/**
 * How long later jobs may start ahead of a queued job that does not fit: the capacity that is too small for that job
 * is not left idle. Afterwards, what the job needs is reserved for it. Milliseconds.
 */
export const BACKFILL_WINDOW_MS = 120_000;

/** A queued job takes what it may have, or holds it back once it is overdue, before the jobs behind it. */
export function pass(capacity: Capacity, entry: QueueEntry, now: number): Choice | null {
  const slot = entry.needsNoSlot ? 0 : 1;
  const choice = capacity.choose(entry.gpus, slot);
  if (choice) capacity.take(choice, slot);
  else if (isOverdue(entry, now)) capacity.reserve(entry.gpus, slot);
  return choice;
}

/** What a job may start with: the first of its preferences that fits. */
export interface Choice {
  /** null = no GPU is needed. */
  readonly gpu: GpuRequest | null;
  /** As in a lease. */
  readonly devices?: readonly string[] | undefined;
}

/** The queue, with what each of its jobs may have. */
export interface Line {
  /**
   * What the job may have now; null = it waits. One that is not in the queue is behind all others.
   * @param gpus what it needs, in order of preference
   */
  choose(jobID: string, gpus: readonly GpuRequest[]): Choice | null;
}

/**
 * Which queued jobs may start: first come, first served, except that a job may start ahead of others that do not fit
 * during their backfill window. Every job that can fit starts eventually. Each place of the queue is looked at once, and
 * only as far as there are slots: thousands of jobs may be queued.
 * @param leases each with the job that holds it; what a job's sandbox keeps counts as free for that job
 * @param queue all queued jobs in their order
 * @param ownDevices those of a lease that was left out, of the job that is asked for
 */
export function createLine(
  {
    leases,
    queue,
    ownDevices,
  }: {
    readonly leases: readonly (LeaseUse & { readonly jobID: string })[];
    readonly queue: Iterable<QueueEntry>;
    readonly ownDevices?: readonly string[];
  },
  limits: AdmissionLimits,
  now: number,
): Line {
  const capacity = createCapacity(leases, limits);
  const places = queue[Symbol.iterator]();
  const passed = new Map<string, Choice | null>();
  const holders = new Set(leases.map(({ jobID }) => jobID));

  function chooseWithoutOwn(jobID: string, gpus: readonly GpuRequest[]): Choice | null {
    const own = leases.filter((lease) => lease.jobID === jobID).flatMap(({ devices }) => devices ?? []);
    const others = createCapacity(
      leases.filter((lease) => lease.jobID !== jobID),
      limits,
      ownDevices ?? own,
    );
    for (const entry of queue) {
      if (entry.jobID === jobID || others.isFull()) break;
      pass(others, entry, now);
    }
    return others.choose(gpus);
  }

  return {
    choose(jobID, gpus) {
      if (holders.has(jobID) || (ownDevices?.length ?? 0) > 0) return chooseWithoutOwn(jobID, gpus);
      while (!passed.has(jobID) && !capacity.isFull()) {
        const place = places.next();
        if (place.done) return capacity.choose(gpus);
        passed.set(place.value.jobID, pass(capacity, place.value, now));
      }
      return passed.get(jobID) ?? null;
    },
  };
}

/** Slots that the leases take of the pool. */
export const slotsOf = (leases: readonly LeaseUse[]): number =>
  leases.reduce((sum, { slots, borrowedFrom }) => sum + (borrowedFrom ? 0 : slots), 0);

/**
 * Whether a run may start in the slot of the job that started it. That job waits for the run, and jobs ahead of the run may
 * wait for that job's slot: so they do not count, or nobody would ever go on.
 * @returns null = its GPUs are not free
 */
export function decideInLentSlot(
  gpus: readonly GpuRequest[],
  leases: readonly LeaseUse[],
  limits: AdmissionLimits,
): Choice | null {
  const withoutSlots = leases.map((lease) => ({ ...lease, slots: 0 as const }));
  return createCapacity(withoutSlots, { ...limits, maxRunningJobs: 1 }).choose(gpus);
}

/**
 * Whether a running job may hold `gpu` in place of its present GPUs. What overdue queued jobs need counts as used.
 * @param state without the lease of that job
 */
export function canChangeGpu(gpu: GpuRequest, state: AdmissionState, limits: AdmissionLimits, now: number): boolean {
  const capacity = createCapacity(state.leases, limits);
  for (const entry of state.ahead) {
    if (!isOverdue(entry, now)) break; // nor is any behind it
    capacity.reserve(entry.gpus, entry.needsNoSlot ? 0 : 1);
  }
  return capacity.choiceOf(gpu) !== null;
}

/** Whether an empty pool has room for at least one of the preferences. */
export const canEverFit = (
  gpus: readonly GpuRequest[],
  limits: GpuLimits,
  machine: readonly MachineGpu[] = [],
): boolean => createCapacity([], { maxRunningJobs: 1, gpus: limits, machine }).choose(gpus) !== null;

/** GPUs in use and their limits: for every type that is in use, limited or in this machine, and for the total. */
export function countGpus(
  leases: readonly LeaseUse[],
  limits: GpuLimits,
  machine: readonly MachineGpu[] = [],
): Record<string, { readonly used: number; readonly limit: number }> {
  const elsewhere = leases.reduce((sum, { gpu, devices }) => sum + (devices ? 0 : (gpu?.count ?? 0)), 0);
  const most = limitsWith(limits, machine, elsewhere);
  const used = new Map(Object.keys(most).map((type) => [type, 0]));
  for (const { gpu } of leases) {
    if (!gpu) continue;
    for (const key of [gpu.type, "total"]) used.set(key, (used.get(key) ?? 0) + gpu.count);
  }
  return Object.fromEntries([...used].map(([type, n]) => [type, { used: n, limit: most[type] ?? most.total }]));
}

/** What the limits and a machine's GPUs allow together. @param elsewhere GPUs in use that are not this machine's */
export function limitsWith(limits: GpuLimits, machine: readonly MachineGpu[] = [], elsewhere = 0): GpuLimits {
  if (machine.length === 0) return limits;
  const own = [...countByType(machine)].map(([type, count]) => [type, Math.min(limits[type] ?? Infinity, count)]);
  return { ...limits, ...Object.fromEntries(own), total: Math.min(limits.total, machine.length + elsewhere) };
}

const isOverdue = ({ since }: QueueEntry, now: number): boolean => now - since >= BACKFILL_WINDOW_MS;

type Capacity = ReturnType<typeof createCapacity>;

/** What is left of the limits after these leases. @param preferred devices of this machine to give before others */
export function createCapacity(
  leases: readonly LeaseUse[],
  limits: AdmissionLimits,
  preferred: readonly string[] = [],
) {
  let slots = 0;
  let total = 0;
  const { machine = [] } = limits;
  const taken = new Set<string>();
  const isFree = (id: string) => !taken.has(id);
  const byType = new Map<string, number>();
  const addType = ({ type, count }: GpuRequest) => byType.set(type, (byType.get(type) ?? 0) + count);
  const isAllowed = ({ type, count }: GpuRequest): boolean =>
    total + count <= limits.gpus.total && (byType.get(type) ?? 0) + count <= (limits.gpus[type] ?? Infinity);
  const capacity = {
    choiceOf: (gpu: GpuRequest): Choice | null =>
      gpu.onMachine ? pickDevices(gpu, { machine, isFree, isAllowed, preferred }) : isAllowed(gpu) ? { gpu } : null,
    isFull: (): boolean => slots >= limits.maxRunningJobs,
    choose(gpus: readonly GpuRequest[], slot = 1): Choice | null {
      if (slot > 0 && capacity.isFull()) return null;
      if (gpus.length === 0) return { gpu: null };
      const choices = gpus.flatMap((gpu) => capacity.choiceOf(gpu) ?? []);
      // A sandbox that lives on keeps the devices that it has.
      return choices.find(({ devices }) => devices?.every((id) => preferred.includes(id))) ?? choices[0] ?? null;
    },
    take({ gpu, devices }: Choice, slot = 1): void {
      slots += slot;
      for (const id of devices ?? []) taken.add(id);
      if (!gpu) return;
      total += gpu.count;
      addType(gpu);
    },
    /** Takes a slot and all preferences, as nobody knows which one the job will get. */
    reserve(gpus: readonly GpuRequest[], slot = 1): void {
      slots += slot;
      total += Math.max(0, ...gpus.map(({ count }) => count));
      for (const gpu of gpus) addType(gpu);
      for (const gpu of gpus.filter(({ onMachine }) => onMachine)) {
        const free = machine.filter(({ id, name }) => isFree(id) && isOfType(gpu.type, name));
        for (const { id } of free.slice(0, gpu.count)) taken.add(id);
      }
    },
  };
  for (const lease of leases) capacity.take(lease, slotsOf([lease]));
  return capacity;
}

/** Why a job waits, shown to the user and the model as it is. @param ahead how many jobs are ahead of it */
export function describeWait(
  gpus: readonly GpuRequest[],
  leases: readonly LeaseUse[],
  ahead: number,
  limits: AdmissionLimits,
): string {
  const running = slotsOf(leases);
  if (gpus.length === 0 || running >= limits.maxRunningJobs)
    return `waiting for a running slot (${describeUse({ used: running, limit: limits.maxRunningJobs }, 1, ahead)})`;
  const counts = countGpus(leases, limits.gpus);
  const taken = new Set(leases.flatMap(({ devices }) => devices ?? []));
  const needs = possible(gpus, limits).map((gpu) => {
    const { type, count } = gpu;
    const { used, all: there } = machineUse(gpu, limits.machine ?? [], taken);
    if (gpu.onMachine && there - used < count)
      return `${describeRequest(gpu)} (${describeUse({ used, limit: there }, count, ahead)})`;
    const own = limits.gpus[type] === undefined ? null : counts[type];
    const all = counts.total ?? { used: 0, limit: limits.gpus.total };
    const isOwn = own && (own.used + count > own.limit || all.used + count <= all.limit);
    const use = isOwn ? describeUse(own, count, ahead) : describeUse({ ...all, what: " GPUs" }, count, ahead);
    return `${describeRequest(gpu)} (${use})`;
  });
  return `waiting for ${needs.join(" or ")}`;
}

/** What is free and still not this job's, since others go first, would look like a fault if only its use were told. */
function describeUse(
  { used, limit, what = "" }: { readonly used: number; readonly limit: number; readonly what?: string },
  needed: number,
  ahead: number,
): string {
  const isFree = ahead > 0 && used + needed <= limit;
  if (isFree)
    return `${limit - used} of ${limit}${what} free, but ${ahead} queued ${ahead === 1 ? "job goes" : "jobs go"} first`;
  const behind = ahead > 0 ? `, behind ${ahead} queued ${ahead === 1 ? "job" : "jobs"}` : "";
  return `${used} of ${limit}${what} in use${behind}`;
}

/** Without what this machine will never have, if it has something else. */
function possible(gpus: readonly GpuRequest[], { gpus: limits, machine }: AdmissionLimits): readonly GpuRequest[] {
  const able = gpus.filter((gpu) => canEverFit([gpu], limits, machine));
  return able.length > 0 ? able : gpus;
}
