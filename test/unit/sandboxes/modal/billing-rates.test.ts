import { expect, test } from "bun:test";
import { gpuTypeNames } from "../../../../src/config/gpu.ts";
import { tableOf } from "../../../../src/config/prices.ts";
import { judgePrices } from "../../../../src/core/known-prices.ts";
import { toAccountPrices } from "../../../../src/sandboxes/modal/billing-rates.ts";

/** As recorded by users of "modal billing rates --json" in September 2026. */
export const RATES = {
  cpu_hour_cost: "0.04730", cpu_hour_cost_sandbox: "0.141900", mem_gib_hour_cost: "0.00800", mem_gib_hour_cost_sandbox: "0.024000",
  gpu_hour_cost_t4: "0.59000", gpu_hour_cost_l4: "0.80000", gpu_hour_cost_a10g: "1.10000", gpu_hour_cost_l40s: "1.95000",
  gpu_hour_cost_a100_40gb: "2.10000", gpu_hour_cost_a100_80gb: "2.50000", gpu_hour_cost_rtx6000: "3.03000", gpu_hour_cost_h100: "3.95000",
  gpu_hour_cost_h200: "4.54000", gpu_hour_cost_b200: "6.25000", gpu_hour_cost_b300: "7.10000", volume_storage_gib_month_cost: "0.09000",
}; // biome-ignore format: a table

test("every GPU type, and cores and memory of sandboxes, not of functions, get the account's price", () => {
  const told = toAccountPrices(RATES);
  expect(told).toMatchObject({ cpuCore: 0.1419, memoryGiB: 0.024 });
  expect(Object.keys(told.gpus).sort()).toEqual(gpuTypeNames().split(", ").sort());
  expect(told.gpus).toMatchObject({ A10: 1.1, A100: 2.1, "RTX-PRO-6000": 3.03, "B200+": 6.25, H200: 4.54 });
  expect(judgePrices(told, tableOf("modal")).refused).toEqual([]);
});

test("what is no number is passed on as such, so that it is refused by name", () => {
  const told = toAccountPrices({ gpu_hour_cost_h100: "free", cpu_hour_cost_sandbox: "" });
  expect([told.gpus.H100, told.cpuCore, told.memoryGiB]).toEqual([Number.NaN, Number.NaN, undefined]);
});
