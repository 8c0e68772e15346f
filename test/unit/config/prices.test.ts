import { expect, test } from "bun:test";
import { gpusOf, gpuTypeNames } from "../../../src/config/gpu.ts";
import { gpuPrice, pricesOf, ratesOf, tableOf } from "../../../src/config/prices.ts";
import { resourcesOf } from "../../../src/config/resources.ts";

const gpu = (text: string) => gpusOf(text)[0] ?? null;
const nothing = { cpu: null, cpuLimit: null, memoryMiB: null, memoryLimitMiB: null };
const modal = (own = {}) => pricesOf(tableOf("modal"), own);

test("every GPU type has a price on Modal", () => {
  const { gpus } = modal();
  for (const type of gpuTypeNames().split(", ")) expect([type, (gpus[type] ?? 0) > 0.1]).toEqual([type, true]);
});

test("a GPU type without a price counts like the most expensive one, not as free", () => {
  expect(gpuPrice("R300", modal())).toBe(modal().gpus.B300 as number);
  expect(gpuPrice("R300", { gpus: {}, cpuCore: 0, memoryGiB: 0 })).toBe(0);
});

test("a sandbox costs its GPUs, and between the requests and the limits of its cores and memory", () => {
  const prices = modal({ H100: 4, cpuCore: 0.1, memoryGiB: 0.01 });
  const resources = { cpu: 4, cpuLimit: 6, memoryMiB: 10_240, memoryLimitMiB: 20_480 };
  const { least, most } = ratesOf(resources, gpu("H100:8"), prices);
  expect(least).toBeCloseTo(32 + 0.4 + 0.1, 12);
  expect(most).toBeCloseTo(32 + 0.6 + 0.2, 12);
});

test("a local sandbox costs nothing unless the option prices says otherwise", () => {
  const resources = resourcesOf({ ...nothing, cpu: 2 }, null);
  expect(ratesOf(resources, null, pricesOf(tableOf("local"), {}))).toEqual({ least: 0, most: 0 });
  expect(ratesOf(resources, null, pricesOf(tableOf("local"), { cpuCore: 0.5 })).least).toBe(1);
});
