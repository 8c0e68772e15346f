import type { GpuRequest } from "../../config/gpu.ts";

/** What a lease takes of the pool. One without a slot keeps the GPUs of a sandbox whose job has ended. */
export interface LeaseUse {
  readonly slots: 0 | 1;
  readonly gpu: GpuRequest | null;
}

/** A queued job, of any process. */
export interface QueueEntry {
  readonly jobID: string;
  readonly since: number;
  /** In order of preference; empty = none. */
  readonly gpus: readonly GpuRequest[];
}

/** What a queued job waits for, and its place among those of all processes (1 = next). */
export interface QueuePlace {
  readonly position: number;
  /** null when it starts as soon as its turn has come. */
  readonly reason: string | null;
}

export interface AdmissionState {
  /** Of every process that shares the state directory. */
  readonly leases: readonly LeaseUse[];
  /** Those before this one in the queue, in order. */
  readonly ahead: readonly QueueEntry[];
}

/** GPUs held at once: `total`, and types by name. A type that is not named is bounded by the total alone. */
export type GpuLimits = { readonly total: number } & Readonly<Record<string, number>>;

export interface AdmissionLimits {
  readonly maxRunningJobs: number;
  readonly gpus: GpuLimits;
}

/** `wait` carries the reason shown to the user and the model, unchanged. */
export type AdmissionDecision =
  /** `gpu` is the first of the preferences that fits. */
  { readonly kind: "admit"; readonly gpu: GpuRequest | null } | { readonly kind: "wait"; readonly reason: string };

/** From this age on nobody passes a blocked job: until then room that is too small for it need not stand empty. */
export const BACKFILL_WINDOW_MS = 120_000;

/**
 * First come first served. A job passes those ahead that do not fit while they are young; what an older one needs is
 * set aside for it, so that everyone's turn comes.
 */
export function decideAdmission(
  gpus: readonly GpuRequest[],
  { leases, ahead }: AdmissionState,
  limits: AdmissionLimits,
  now: number,
): AdmissionDecision {
  const room = createCapacity(leases, limits);
  for (const one of ahead) {
    const choice = room.choose(one.gpus);
    if (choice) room.take(choice.gpu);
    else if (now - one.since >= BACKFILL_WINDOW_MS) room.setAside(one.gpus);
  }
  const choice = room.choose(gpus);
  if (choice) return { kind: "admit", gpu: choice.gpu };
  return { kind: "wait", reason: toReason(gpus, leases, ahead.length, limits) };
}

/** Whether a running job's GPUs may become `gpu`. @param state without that job; what old queued jobs need counts as used */
export function fitsInstead(gpu: GpuRequest, state: AdmissionState, limits: AdmissionLimits, now: number): boolean {
  const room = createCapacity(state.leases, limits);
  for (const one of state.ahead) if (now - one.since >= BACKFILL_WINDOW_MS) room.setAside(one.gpus);
  return room.fits(gpu);
}

/** Whether some preference can be had once the pool is empty. */
export const canEverFit = (gpus: readonly GpuRequest[], limits: GpuLimits): boolean =>
  gpus.length === 0 || gpus.some(({ type, count }) => count <= Math.min(limits[type] ?? Infinity, limits.total));

/** GPUs in use beside their limits: every type that is used or limited, and the total. */
export function countGpus(
  leases: readonly LeaseUse[],
  limits: GpuLimits,
): Record<string, { readonly used: number; readonly limit: number }> {
  const used = new Map(Object.keys(limits).map((type) => [type, 0]));
  for (const { gpu } of leases) {
    if (!gpu) continue;
    for (const key of [gpu.type, "total"]) used.set(key, (used.get(key) ?? 0) + gpu.count);
  }
  return Object.fromEntries([...used].map(([type, n]) => [type, { used: n, limit: limits[type] ?? limits.total }]));
}

function createCapacity(leases: readonly LeaseUse[], limits: AdmissionLimits) {
  let slots = 0;
  let total = 0;
  const byType = new Map<string, number>();
  const addType = ({ type, count }: GpuRequest) => byType.set(type, (byType.get(type) ?? 0) + count);
  const room = {
    fits: ({ type, count }: GpuRequest): boolean =>
      total + count <= limits.gpus.total && (byType.get(type) ?? 0) + count <= (limits.gpus[type] ?? Infinity),
    choose(gpus: readonly GpuRequest[]): { gpu: GpuRequest | null } | null {
      if (slots >= limits.maxRunningJobs) return null;
      if (gpus.length === 0) return { gpu: null };
      const gpu = gpus.find(room.fits);
      return gpu ? { gpu } : null;
    },
    take(gpu: GpuRequest | null, slot = 1): void {
      slots += slot;
      if (!gpu) return;
      total += gpu.count;
      addType(gpu);
    },
    /** Whichever of its preferences it will get in the end. */
    setAside(gpus: readonly GpuRequest[]): void {
      slots += 1;
      total += Math.max(0, ...gpus.map(({ count }) => count));
      for (const gpu of gpus) addType(gpu);
    },
  };
  for (const { gpu, slots: slot } of leases) room.take(gpu, slot);
  return room;
}

function toReason(gpus: readonly GpuRequest[], leases: readonly LeaseUse[], ahead: number, limits: AdmissionLimits) {
  const behind = ahead > 0 ? `, behind ${ahead} queued ${ahead === 1 ? "job" : "jobs"}` : "";
  const running = leases.reduce((sum, { slots }) => sum + slots, 0);
  if (gpus.length === 0 || running >= limits.maxRunningJobs) {
    return `waiting for a running slot (${running} of ${limits.maxRunningJobs} in use${behind})`;
  }
  const counts = countGpus(leases, limits.gpus);
  const wishes = gpus.map(({ type, count }) => {
    const own = limits.gpus[type] === undefined ? null : counts[type];
    const all = counts.total ?? { used: 0, limit: limits.gpus.total };
    const isOwn = own && (own.used + count > own.limit || all.used + count <= all.limit);
    const use = isOwn ? `${own.used} of ${own.limit} in use` : `${all.used} of ${all.limit} GPUs in use`;
    return `${count} ${type} (${use}${behind})`;
  });
  return `waiting for ${wishes.join(" or ")}`;
}
