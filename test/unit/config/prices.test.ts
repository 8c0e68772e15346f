import { expect, test } from "bun:test";
import { gpuTypeNames, parseGpu } from "../../../src/config/gpu.ts";
import { DEFAULT_CPU, DEFAULT_MEMORY_MIB, pricesOf, usdPerHour } from "../../../src/config/prices.ts";

const gpu = (text: string) => {
  const parsed = parseGpu(text);
  return parsed.kind === "ok" ? (parsed.preferences[0] ?? null) : null;
};

test("every GPU type has a price on Modal", () => {
  const { gpus } = pricesOf("modal", {});
  for (const type of gpuTypeNames().split(", ")) expect([type, (gpus[type] ?? 0) > 0.1]).toEqual([type, true]);
});

test("a sandbox is priced by its GPUs, cores and memory, with defaults for what it does not request", () => {
  const prices = pricesOf("modal", { H100: 4, cpuCore: 0.1, memoryGiB: 0.01 });
  expect(usdPerHour({ gpu: gpu("H100:8"), cpu: 4, memoryMiB: 10_240 }, prices)).toBeCloseTo(32 + 0.4 + 0.1, 12);
  const bare = usdPerHour({ gpu: null, cpu: null, memoryMiB: null }, prices);
  expect(bare).toBeCloseTo(DEFAULT_CPU * 0.1 + (DEFAULT_MEMORY_MIB / 1024) * 0.01, 12);
});

test("a local sandbox costs nothing unless the option prices says otherwise", () => {
  const machine = { gpu: null, cpu: 2, memoryMiB: 1024 };
  expect(usdPerHour(machine, pricesOf("local", {}))).toBe(0);
  expect(usdPerHour(machine, pricesOf("local", { cpuCore: 0.5 }))).toBe(1);
});
