import type { GpuRequest } from "../config/gpu.ts";

/* What a sandbox is known to have and to have used. */

/** The GPUs a sandbox has. */
export interface SandboxGpu {
  /** The request that was granted; null when another process created the sandbox. */
  readonly granted: GpuRequest | null;
  /** Names that the devices report, e.g. "NVIDIA H100 80GB HBM3"; empty when they could not be read. */
  readonly devices: readonly string[];
}

/** What a sandbox has used in all, by its provider's meter, which may run some minutes behind. */
export interface SandboxUsage {
  readonly cpuCoreSeconds: number;
  readonly memoryGiBSeconds: number;
  /** Of all its GPUs together. */
  readonly gpuSeconds: number;
}

/** A port of a sandbox that can be reached from outside. */
export interface SandboxPort {
  readonly port: number;
  readonly url: string;
}

export interface SandboxMemory {
  readonly limitMiB: number;
  /** Processes that the kernel has killed so far because this memory was full; null when it does not tell. */
  kills(): number | null;
}

export interface SandboxProcessLimit {
  /** Processes and threads of all its commands together. */
  readonly limit: number;
  /** How many more the kernel has refused so far; null when it does not tell. */
  refusals(): number | null;
}

/** A network that a sandbox can lose and get again. */
export interface SandboxNetwork {
  /** How often it was lost so far. Connections do not survive that. */
  losses(): number;
  /** Why there is none now, as a clause; null = there is one. */
  lost(): string | null;
}
