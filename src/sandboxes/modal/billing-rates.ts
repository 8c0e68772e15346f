import type { ModalClient } from "modal";
import { gpuTypeNames } from "../../config/gpu.ts";
import { within } from "../../shared/time-limit.ts";
import type { AccountPrices } from "../port.ts";
import type { CallDeps } from "./limits.ts";

/**
 * The prices of the account. @throws what the SDK throws
 * @source Modal's protocol of August 2026: "compute rates are per unit per hour, storage rate is per GiB-month"
 */
export async function readBillingRates(client: ModalClient, { clock, limits }: CallDeps): Promise<AccountPrices> {
  const limit = { clock, limitMs: limits.callMs, doing: "Asking for the account's prices" };
  const { rates, deprecationErrors } = await within(client.cpClient.workspaceBillingRates({}), limit);
  return toAccountPrices(Object.fromEntries(Object.entries(rates).filter(([key]) => !(key in deprecationErrors))));
}

/**
 * Prices by Modal's keys, which are `gpu_hour_cost_h100`, `gpu_hour_cost_a100_80gb`, `cpu_hour_cost_sandbox`,
 * `mem_gib_hour_cost_sandbox`. Without `sandbox` a core and memory have the price of functions, a third of that of sandboxes.
 * @source public records of "modal billing rates --json", August to October 2026
 */
export function toAccountPrices(rates: Readonly<Record<string, string>>): AccountPrices {
  const gpus: Record<string, number> = {};
  let cpuCore: number | undefined;
  let memoryGiB: number | undefined;
  for (const [key, text] of Object.entries(rates)) {
    const words = key.toLowerCase().split(/[^a-z0-9]+/);
    const price = text.trim() === "" ? Number.NaN : Number(text);
    const isSandbox = words.includes("sandbox");
    if (isSandbox && words.includes("cpu")) cpuCore = price;
    else if (isSandbox && (words.includes("mem") || words.includes("memory"))) memoryGiB = price;
    else if (words.includes("gpu"))
      for (const type of TYPES.get(words.filter((word) => !UNITS.has(word)).join("")) ?? []) gpus[type] = price;
  }
  return { gpus, ...(cpuCore !== undefined && { cpuCore }), ...(memoryGiB !== undefined && { memoryGiB }) };
}

/** Words of a key that say what the number is, not of which type. */
const UNITS = new Set(["gpu", "hour", "cost", "nvidia"]);

/** Modal has one price for types that are names of the same hardware. */
const ALSO: Readonly<Record<string, readonly string[]>> = {
  A10G: ["a10"],
  A10: ["a10g"],
  A100: ["a10040gb"],
  "RTX-PRO-6000": ["rtx6000"],
  "B200+": ["b200"],
};

/** Our types by the name that a key has for them: `a10080gb`. */
const TYPES: ReadonlyMap<string, readonly string[]> = gpuTypeNames()
  .split(", ")
  .flatMap((type) =>
    [type.toLowerCase().replace(/[^a-z0-9]/g, ""), ...(ALSO[type] ?? [])].map((name) => ({ name, type })),
  )
  .reduce((all, { name, type }) => all.set(name, [...(all.get(name) ?? []), type]), new Map<string, string[]>());
