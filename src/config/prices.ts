import type { GpuRequest } from "./gpu.ts";
import type { ProviderName } from "./provider-names.ts";
import type { Resources } from "./resources.ts";

/** Prices in USD per hour: of one GPU by type, of one physical core, of one GiB of memory. */
export interface Prices {
  readonly gpus: Readonly<Record<string, number>>;
  readonly cpuCore: number;
  readonly memoryGiB: number;
}

/** Shown with estimates, because prices change and this table may be out of date. */
export const MODAL_PRICES_AS_OF = "October 2026";

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

/** The built-in prices of a provider's sandboxes. */
export const tableOf = (provider: ProviderName): Prices => BUILT_IN[provider];

/** These prices, replaced by the user's where he set them. */
export function pricesOf(
  table: Prices,
  { cpuCore, memoryGiB, ...gpus }: { cpuCore?: number | undefined; memoryGiB?: number | undefined } & Record<string, number | undefined>, // biome-ignore format: one line
): Prices {
  const own = Object.entries(gpus).flatMap(([type, price]) => (price === undefined ? [] : [[type, price] as const]));
  return {
    gpus: { ...table.gpus, ...Object.fromEntries(own) },
    cpuCore: cpuCore ?? table.cpuCore,
    memoryGiB: memoryGiB ?? table.memoryGiB,
  };
}

/** What a sandbox costs, USD per hour: at its requests, which is the least, and at its limits, which is the most. */
export interface RateRange {
  readonly least: number;
  readonly most: number;
}

export function ratesOf(resources: Resources, gpu: GpuRequest | null, prices: Prices): RateRange {
  const gpus = gpu === null ? 0 : gpu.count * gpuPrice(gpu.type, prices);
  const of = (cores: number, memoryMiB: number) =>
    gpus + cores * prices.cpuCore + (memoryMiB / MIB_PER_GIB) * prices.memoryGiB;
  return {
    least: of(resources.cpu, resources.memoryMiB),
    most: of(resources.cpuLimit, resources.memoryLimitMiB),
  };
}

/** A type without a price of its own counts like the most expensive one, never as free. */
export const gpuPrice = (type: string, { gpus }: Prices): number => gpus[type] ?? Math.max(0, ...Object.values(gpus));

const MIB_PER_GIB = 1024;
