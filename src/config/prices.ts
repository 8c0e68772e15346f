import type { GpuRequest } from "./gpu.ts";
import type { ProviderName } from "./provider-names.ts";

/** Prices in USD per hour: of one GPU by type, of one physical core, of one GiB of memory. */
export interface Prices {
  readonly gpus: Readonly<Record<string, number>>;
  readonly cpuCore: number;
  readonly memoryGiB: number;
}

/** Shown with estimates, because prices change and this table may be out of date. */
export const MODAL_PRICES_AS_OF = "Modal's public prices up to October 2026";

/**
 * Modal's prices for sandboxes, without regional multipliers.
 * @source public records of modal.com/pricing, May to October 2026; a type that is not listed there has the price of the
 * type that it is another name for
 */
const MODAL: Prices = {
  gpus: {
    T4: 0.5904,
    L4: 0.7992,
    A10: 1.1016,
    A10G: 1.1016,
    L40S: 1.9512,
    A100: 2.0988,
    "A100-40GB": 2.0988,
    "A100-80GB": 2.4984,
    "RTX-PRO-6000": 3.0312,
    H100: 3.9492,
    H200: 4.5396,
    B200: 6.2496,
    "B200+": 6.2496,
    B300: 7.0992,
  },
  cpuCore: 0.141912,
  memoryGiB: 0.024012,
};

/** Using this machine costs nothing extra. */
const LOCAL: Prices = { gpus: {}, cpuCore: 0, memoryGiB: 0 };

const BUILT_IN: Readonly<Record<ProviderName, Prices>> = { modal: MODAL, local: LOCAL };

/** The provider's prices, replaced by the user's where he set them. */
export function pricesOf(
  provider: ProviderName,
  { cpuCore, memoryGiB, ...gpus }: { cpuCore?: number | undefined; memoryGiB?: number | undefined } & Record<string, number | undefined>, // biome-ignore format: one line
): Prices {
  const table = BUILT_IN[provider];
  const own = Object.entries(gpus).flatMap(([type, price]) => (price === undefined ? [] : [[type, price] as const]));
  return {
    gpus: { ...table.gpus, ...Object.fromEntries(own) },
    cpuCore: cpuCore ?? table.cpuCore,
    memoryGiB: memoryGiB ?? table.memoryGiB,
  };
}

/** The resources a sandbox requests. null = the provider's default. */
export interface Machine {
  readonly gpu: GpuRequest | null;
  readonly cpu: number | null;
  readonly memoryMiB: number | null;
}

/** Cores requested from Modal by default. It bills use beyond a request, and does not report it. */
export const DEFAULT_CPU = 1;
/** Memory requested from Modal by default. Modal's own default, 128 MiB, is too little to build anything. */
export const DEFAULT_MEMORY_MIB = 2048;

/** Price of a sandbox in USD per hour, by the resources it requests. */
export const usdPerHour = ({ gpu, cpu, memoryMiB }: Machine, prices: Prices): number =>
  (gpu === null ? 0 : gpu.count * (prices.gpus[gpu.type] ?? 0)) +
  (cpu ?? DEFAULT_CPU) * prices.cpuCore +
  ((memoryMiB ?? DEFAULT_MEMORY_MIB) / 1024) * prices.memoryGiB;
