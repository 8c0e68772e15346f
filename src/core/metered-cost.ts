import type { GpuRequest } from "../config/gpu.ts";
import { gpuPrice, type Prices } from "../config/prices.ts";
import type { Resources } from "../config/resources.ts";
import type { SandboxUsage } from "../sandboxes/port.ts";

export interface MeteredSandbox {
  readonly resources: Resources;
  readonly gpu: GpuRequest | null;
  readonly prices: Prices;
  /** How long it has existed so far. */
  readonly ms: number;
}

const HOUR_SECONDS = 3600;

/**
 * What a sandbox has cost by its provider's meter, USD; null = the meter has counted nothing yet. A meter runs behind, by a
 * minute or more on Modal. Time that it has not counted costs what the limits allow where the GPUs' own time tells how much
 * that is; of a sandbox without GPUs, never less than its requests.
 */
export function meteredUsd(usage: SandboxUsage, { resources, gpu, prices, ms }: MeteredSandbox): number | null {
  const { cpuCoreSeconds, memoryGiBSeconds, gpuSeconds } = usage;
  const hasCounted = cpuCoreSeconds > 0 && memoryGiBSeconds > 0 && (gpu === null || gpuSeconds > 0);
  if (!hasCounted) return null;
  const seconds = ms / 1000;
  const counted = gpu === null ? seconds : Math.min(seconds, gpuSeconds / gpu.count);
  const billed = (metered: number, request: number, limit: number) =>
    Math.min(Math.max(metered + limit * (seconds - counted), request * seconds), limit * seconds);
  const cores = billed(cpuCoreSeconds, resources.cpu, resources.cpuLimit);
  const memory = billed(memoryGiBSeconds, resources.memoryMiB / 1024, resources.memoryLimitMiB / 1024);
  const gpus = gpu === null ? 0 : gpu.count * gpuPrice(gpu.type, prices) * seconds;
  return (cores * prices.cpuCore + memory * prices.memoryGiB + gpus) / HOUR_SECONDS;
}
