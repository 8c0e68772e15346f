import { type Prices, pricesOf, tableOf } from "../../config/prices.ts";
import type { ProviderName } from "../../config/provider-names.ts";
import type { Options } from "../../config/schema.ts";
import { judgePrices } from "../../core/known-prices.ts";
import type { SandboxProvider } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";

/** Where the prices come from that a provider's sandboxes are counted at. The user's own go before them in any case. */
export interface PriceSource {
  /** When the account's prices were read, epoch ms; null = the built-in table is used. */
  readonly readAt: number | null;
  /** Prices of the account that cannot be true and are not used, for people: "H100 $0.0011". */
  readonly refused: readonly string[];
}

/** The prices of sandboxes: the user's option, else the account's, else the built-in table. */
export interface PriceList {
  of(provider: ProviderName): Prices;
  sourceOf(provider: ProviderName): PriceSource;
  /** Asks the provider's account at the first call, and again a day later. Resolves once the answer counts. Never rejects. */
  read(provider: SandboxProvider): Promise<void>;
}

const BUILT_IN: PriceSource = { readAt: null, refused: [] };
const KEPT_MS = 24 * 3_600_000;
const RETRY_MS = 10 * 60_000;

export function createPriceList(deps: {
  readonly options: Pick<Options, "prices">;
  readonly clock: Clock;
  readonly log: Log;
}): PriceList {
  const { options, clock, log } = deps;
  const known = new Map<ProviderName, { readonly prices: Prices; readonly source: PriceSource }>();
  const readings = new Map<ProviderName, Promise<void>>();
  const readAgainAt = new Map<ProviderName, number>();

  async function ask({ name, prices }: SandboxProvider): Promise<void> {
    const told = await prices?.().catch(() => null);
    if (!told) {
      log("debug", "a provider does not tell its prices", { provider: name });
      return void readAgainAt.set(name, clock.now() + RETRY_MS);
    }
    const { prices: judged, used, refused } = judgePrices(told, tableOf(name));
    if (refused.length > 0) log("warn", "prices of the account cannot be true and are not used", { refused });
    known.set(name, {
      prices: pricesOf(judged, options.prices),
      source: { readAt: used > 0 ? clock.now() : null, refused },
    });
  }

  return {
    of: (provider) => known.get(provider)?.prices ?? pricesOf(tableOf(provider), options.prices),
    sourceOf: (provider) => known.get(provider)?.source ?? BUILT_IN,
    read(provider) {
      const last = readings.get(provider.name);
      const isFresh = last !== undefined && clock.now() < (readAgainAt.get(provider.name) ?? 0);
      if (provider.prices === null || isFresh) return last ?? Promise.resolve();
      readAgainAt.set(provider.name, clock.now() + KEPT_MS);
      const reading = ask(provider);
      readings.set(provider.name, reading);
      return reading;
    },
  };
}
