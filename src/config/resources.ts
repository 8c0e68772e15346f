import { formatGpu, type GpuRequest, parseGpu } from "./gpu.ts";

/** What a sandbox asks Modal for, and the most it may use. Modal bills the larger of request and use, second by second. */
export interface Resources {
  /** Physical cores. */
  readonly cpu: number;
  readonly cpuLimit: number;
  readonly memoryMiB: number;
  readonly memoryLimitMiB: number;
}

/** The environment's options; null = the default. */
export type ResourceWishes = { readonly [K in keyof Resources]: number | null };

/** Modal's own default, 128 MiB, is too little to build anything. */
const DEFAULT_CPU = 1;
const DEFAULT_MEMORY_MIB = 2048;
/** Per GPU: data loaders and the copies of weights in main memory starve with less. */
const CPU_PER_GPU = 2;
const MEMORY_MIB_PER_GPU = 16_384;
/** A limit is this many times the request, and at least the amount below. Without limits Modal lets a sandbox use 16 cores more than it asked for. */
const HEADROOM = 2;
const LEAST_CPU_LIMIT = 2;
const LEAST_MEMORY_LIMIT_MIB = 4096;

/** Requests and limits of a sandbox on Modal. A request that nobody set never passes a limit that somebody set. */
export function resourcesOf(wishes: ResourceWishes, gpu: GpuRequest | null): Resources {
  const wanted = requestsOf(wishes, gpu);
  const cpu = Math.min(wanted.cpu, wishes.cpuLimit ?? Infinity);
  const memoryMiB = Math.min(wanted.memoryMiB, wishes.memoryLimitMiB ?? Infinity);
  return {
    cpu,
    cpuLimit: wishes.cpuLimit ?? Math.max(HEADROOM * cpu, LEAST_CPU_LIMIT),
    memoryMiB,
    memoryLimitMiB: wishes.memoryLimitMiB ?? Math.max(HEADROOM * memoryMiB, LEAST_MEMORY_LIMIT_MIB),
  };
}

function requestsOf(wishes: ResourceWishes, gpu: GpuRequest | null): Pick<Resources, "cpu" | "memoryMiB"> {
  const gpus = gpu?.count ?? 0;
  return {
    cpu: wishes.cpu ?? Math.max(DEFAULT_CPU, CPU_PER_GPU * gpus),
    memoryMiB: wishes.memoryMiB ?? Math.max(DEFAULT_MEMORY_MIB, MEMORY_MIB_PER_GPU * gpus),
  };
}

const REQUEST_OF = { cpuLimit: "cpu", memoryLimitMiB: "memoryMiB" } as const;

/** Limits below their requests: which key, and what is allowed, naming the request. */
export function limitProblems(
  environment: ResourceWishes & { readonly gpu: string | null },
): { readonly key: keyof typeof REQUEST_OF; readonly allowed: string }[] {
  const parsed = environment.gpu === null ? null : parseGpu(environment.gpu);
  const preferences = parsed?.kind === "ok" ? [...parsed.preferences] : [];
  const most = preferences.sort((a, b) => b.count - a.count)[0] ?? null; // it asks for the most
  const requests = requestsOf(environment, most);
  return (["cpuLimit", "memoryLimitMiB"] as const).flatMap((key) => {
    const request = REQUEST_OF[key];
    const limit = environment[key];
    if (limit === null || limit >= requests[request]) return [];
    const isDefault = environment[request] === null;
    const why = isDefault ? ` by default${most ? ` with ${formatGpu(most)}` : ""}` : "";
    return [{ key, allowed: `at least ${requests[request]}, which ${request} is${why}` }];
  });
}
