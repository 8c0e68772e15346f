import { ANY_GPU, type GpuRequest, gpusOf } from "../config/gpu.ts";
import type { MachineGpu } from "../sandboxes/machine-gpus.ts";
import { isOfType, machineType } from "./gpu-devices.ts";
import type { Job } from "./job.ts";

/*
 * GPUs of this machine as part of the pool: they are given by name, because a job uses these devices and no others. Which
 * are free is decided by the devices that leases name, in whatever process they are held.
 */

/** The GPUs that a job is to have, in order of preference, and where; empty = none. */
export const gpusWanted = ({ task, provider }: Pick<Job, "task" | "provider">): readonly GpuRequest[] =>
  provider === "local" ? gpusOf(task.gpu).map((gpu) => ({ ...gpu, onMachine: true })) : gpusOf(task.gpu);

/** Devices that satisfy a request, and the request as it is granted. */
export interface Picked {
  readonly gpu: GpuRequest;
  readonly devices: readonly string[];
}

/** What a machine's GPUs are for a request. */
export interface Offer {
  readonly machine: readonly MachineGpu[];
  readonly isFree: (id: string) => boolean;
  /** Whether the limits allow the request as it would be granted. */
  readonly isAllowed: (gpu: GpuRequest) => boolean;
  /** Devices to take before others: those that the job's sandbox has already. */
  readonly preferred?: readonly string[];
}

/** The devices for a request, of one type where there are enough of it; null = not enough are free, or the limits forbid it. */
export function pickDevices(request: GpuRequest, { machine, isFree, isAllowed, preferred = [] }: Offer): Picked | null {
  const free = machine.filter(({ id, name }) => isFree(id) && isOfType(request.type, name));
  const first = [...free].sort((a, b) => Number(preferred.includes(b.id)) - Number(preferred.includes(a.id)));
  const types = [...new Set(first.map(({ name }) => machineType(name)))];
  const ofOneType = types.map((type) => first.filter(({ name }) => machineType(name) === type));
  for (const group of [...ofOneType, first]) {
    const chosen = group.slice(0, request.count);
    if (chosen.length < request.count) continue;
    const gpu = { ...request, type: typeOfAll(chosen) ?? request.type };
    const picked = { gpu, devices: chosen.map(({ id }) => id) };
    if (isAllowed(gpu)) return picked;
  }
  return null;
}

function typeOfAll(gpus: readonly MachineGpu[]): string | null {
  const types = new Set(gpus.map(({ name }) => machineType(name)));
  return types.size === 1 ? ([...types][0] ?? null) : null;
}

/** How many GPUs of each type a machine has; those without a name of their own are "any". */
export function countByType(machine: readonly MachineGpu[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { name } of machine) {
    const type = machineType(name) ?? ANY_GPU;
    counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return counts;
}

/** "2 H100 and 1 RTX-4090", for messages. */
export function describeMachine(machine: readonly MachineGpu[]): string {
  const parts = [...countByType(machine)].map(
    ([type, count]) => `${count} ${type === ANY_GPU ? gpuWord(count) : type}`,
  );
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

/** "1 GPU", "2 GPUs", "2 H100" */
export const describeRequest = ({ type, count }: GpuRequest): string =>
  `${count} ${type === ANY_GPU ? gpuWord(count) : type}`;

/** How many of a machine's GPUs a request could use, and how many of them are in use. */
export function machineUse({ type }: GpuRequest, machine: readonly MachineGpu[], taken: ReadonlySet<string>) {
  const fitting = machine.filter(({ name }) => isOfType(type, name));
  return { used: fitting.filter(({ id }) => taken.has(id)).length, all: fitting.length };
}

const gpuWord = (count: number): string => (count === 1 ? "GPU" : "GPUs");
