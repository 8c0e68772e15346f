import type { Prices } from "../config/prices.ts";
import type { AccountPrices } from "../sandboxes/port.ts";

/** A built-in price may be wrong by this factor either way; what differs by more is a mistake, such as another unit. */
const CREDIBLE_FACTOR = 10;

export interface JudgedPrices {
  readonly prices: Prices;
  /** How many of the account's prices are used. */
  readonly used: number;
  /** The account's prices that are not believed, for a status: "H100 $0.0011". */
  readonly refused: readonly string[];
}

/** The account's prices where it names them and they can be true, the table's otherwise. */
export function judgePrices(told: AccountPrices, table: Prices): JudgedPrices {
  const refused: string[] = [];
  let used = 0;
  const judge = (name: string, price: number | undefined, known: number): number => {
    if (price === undefined) return known;
    if (price >= known / CREDIBLE_FACTOR && price <= known * CREDIBLE_FACTOR) {
      used += 1;
      return price;
    }
    refused.push(`${name} $${price}`);
    return known;
  };
  const gpus = Object.entries(table.gpus).map(([type, known]) => [type, judge(type, told.gpus[type], known)] as const);
  const prices = {
    gpus: Object.fromEntries(gpus),
    cpuCore: judge("core", told.cpuCore, table.cpuCore),
    memoryGiB: judge("GiB of memory", told.memoryGiB, table.memoryGiB),
  };
  return { prices, used, refused };
}
