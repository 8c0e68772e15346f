import type { GpuRequest } from "./gpu.ts";

/** USD per hour: of one GPU by type, of a physical core, of a GiB of memory. */
export interface Prices {
  readonly gpus: Readonly<Record<string, number>>;
  readonly cpuCore: number;
  readonly memoryGiB: number;
}

/** Shown beside the figures: prices change, and ours may be behind. */
export const MODAL_PRICES_AS_OF = "Modal's public prices up to October 2026";

/**
 * What Modal asks for sandboxes, without regional multipliers.
 * @source public records of modal.com/pricing, May to October 2026; types it does not list at the price of the type
 * they stand for
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

/** This machine is paid for already. */
const LOCAL: Prices = { gpus: {}, cpuCore: 0, memoryGiB: 0 };

/** The provider's prices with the user's in place of them. */
export function pricesOf(
  provider: "local" | "modal",
  { cpuCore, memoryGiB, ...gpus }: { cpuCore?: number | undefined; memoryGiB?: number | undefined } & Record<string, number | undefined>, // biome-ignore format: one line
): Prices {
  const table = provider === "modal" ? MODAL : LOCAL;
  const own = Object.entries(gpus).flatMap(([type, price]) => (price === undefined ? [] : [[type, price] as const]));
  return {
    gpus: { ...table.gpus, ...Object.fromEntries(own) },
    cpuCore: cpuCore ?? table.cpuCore,
    memoryGiB: memoryGiB ?? table.memoryGiB,
  };
}

/** What a sandbox asks for. null is the provider's default. */
export interface Machine {
  readonly gpu: GpuRequest | null;
  readonly cpu: number | null;
  readonly memoryMiB: number | null;
}

/** What sandboxes that say nothing ask Modal for; more use is billed as used, which nobody tells us. */
export const DEFAULT_CPU = 1;
/** Modal's own default, 128 MiB, does not build anything. */
export const DEFAULT_MEMORY_MIB = 2048;

/** What a sandbox costs while it stands, by what it asks for. */
export const usdPerHour = ({ gpu, cpu, memoryMiB }: Machine, prices: Prices): number =>
  (gpu === null ? 0 : gpu.count * (prices.gpus[gpu.type] ?? 0)) +
  (cpu ?? DEFAULT_CPU) * prices.cpuCore +
  ((memoryMiB ?? DEFAULT_MEMORY_MIB) / 1024) * prices.memoryGiB;
