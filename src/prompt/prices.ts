import { MODAL_PRICES_AS_OF } from "../config/prices.ts";
import { plainName } from "../shared/plain-text.ts";

/**
 * Which prices a session's compute is counted at: "Prices: your account's, read 2026-11-27 12:03 UTC."
 * @param readAt when the account's prices were read, epoch ms; null = the built-in table is used
 * @param refused prices of the account that are not believed
 * @param own the user's own prices, by name
 */
export function renderPrices(
  { readAt, refused }: { readonly readAt: number | null; readonly refused: readonly string[] },
  own: Readonly<Record<string, number | undefined>>,
): string {
  const source =
    readAt === null ? `built-in table of ${MODAL_PRICES_AS_OF}` : `your account's, read ${toMinute(readAt)}`;
  const names = Object.keys(own).filter((name) => own[name] !== undefined);
  const first =
    names.length === 0 ? "" : `; yours (option "prices") for ${names.map((name) => plainName(name)).join(", ")}`;
  const doubts =
    refused.length === 0
      ? ""
      : ` The account's price of ${refused.join(", ")} an hour cannot be true, so the built-in one is used.`;
  return `Prices: ${source}${first}. Compute is counted at a sandbox's limits until its use is known, without surcharges for regions.${doubts}`;
}

const toMinute = (at: number): string => `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
