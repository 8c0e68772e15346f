import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { gpusOf } from "../../../src/config/gpu.ts";
import { pricesOf, ratesOf, tableOf } from "../../../src/config/prices.ts";
import { resourcesOf } from "../../../src/config/resources.ts";
import { computeUsd, measureCompute, NO_COMPUTE, openCompute, settleCompute, usdOver } from "../../../src/core/cost.ts";
import { judgePrices } from "../../../src/core/known-prices.ts";
import { meteredUsd } from "../../../src/core/metered-cost.ts";

const HOUR = 3_600_000;
const prices = pricesOf(tableOf("modal"), { H100: 4, cpuCore: 0.1, memoryGiB: 0.01 });
const nothing = { cpu: null, cpuLimit: null, memoryMiB: null, memoryLimitMiB: null };
const sandbox = (gpu: string | null, ms: number) => {
  const request = gpusOf(gpu)[0] ?? null;
  return { resources: resourcesOf(nothing, request), gpu: request, prices, ms };
};
const usage = (cores: number, gib: number, gpus: number, hours: number) => ({
  cpuCoreSeconds: cores * hours * 3600,
  memoryGiBSeconds: gib * hours * 3600,
  gpuSeconds: gpus * hours * 3600,
});

describe("the cost by the meter", () => {
  test("is that of the use, never below the requests nor above the limits", () => {
    expect(meteredUsd(usage(1.5, 3, 0, 1), sandbox(null, HOUR))).toBeCloseTo(0.15 + 0.03, 12);
    expect(meteredUsd(usage(0.2, 0.1, 0, 1), sandbox(null, HOUR))).toBeCloseTo(0.1 + 0.02, 12);
    expect(meteredUsd(usage(17, 300, 0, 1), sandbox(null, HOUR))).toBeCloseTo(0.2 + 0.04, 12);
  });

  test("is not known while the meter has counted nothing, as after a sandbox has ended", () => {
    expect(meteredUsd(usage(0, 0, 0, 1), sandbox(null, HOUR))).toBeNull();
    expect(meteredUsd(usage(1, 1, 0, 1), sandbox("H100", HOUR))).toBeNull();
  });

  test("counts the time that the GPUs' meter lacks at the limits", () => {
    const whole = 32 + 1.6 + 1.28; // 8 H100, 16 cores, 128 GiB
    expect(meteredUsd(usage(16, 128, 8, 1), sandbox("H100:8", HOUR))).toBeCloseTo(whole, 9);
    // Half of the hour is missing: 16 cores and 128 GiB for one half, 32 and 256 for the other.
    expect(meteredUsd(usage(16, 128, 8, 0.5), sandbox("H100:8", HOUR))).toBeCloseTo(32 + 2.4 + 1.92, 9);
  });

  test("whatever the meter says lies between the two prices of the sandbox", () => {
    const amount = fc.double({ min: 0, max: 1e7, noNaN: true });
    fc.assert(
      fc.property(amount, amount, amount, fc.constantFrom(null, "T4", "H100:8"), fc.integer({ min: 1, max: 9 * HOUR }), (a, b, c, gpu, ms) => {
        const made = sandbox(gpu, ms);
        const usd = meteredUsd({ cpuCoreSeconds: a, memoryGiBSeconds: b, gpuSeconds: c }, made);
        if (usd === null) return;
        const { least, most } = ratesOf(made.resources, made.gpu, prices);
        expect(usd).toBeGreaterThanOrEqual(usdOver(least, ms) - 1e-9);
        expect(usd).toBeLessThanOrEqual(usdOver(most, ms) + 1e-9);
      }),
    ); // biome-ignore format: one line
  });
});

describe("a sandbox whose use is known", () => {
  const open = openCompute({ ...NO_COMPUTE, usd: 1 }, { least: 1, most: 2 }, 0, null);

  test("costs the most until it is measured, and from then on what was measured and the most", () => {
    expect(computeUsd(open, HOUR)).toBe(3);
    const measured = measureCompute(open, 1.25, HOUR);
    expect(computeUsd(measured, HOUR)).toBe(2.25);
    expect(computeUsd(measured, 2 * HOUR)).toBe(4.25);
    expect(settleCompute(measured, HOUR)).toMatchObject({ usd: 2.25, since: null, measured: null });
  });

  test("is never counted below its requests nor above its limits, and not past its provider's end of it", () => {
    expect(computeUsd(measureCompute(open, 0, HOUR), HOUR)).toBe(2);
    expect(computeUsd(measureCompute(open, 99, HOUR), HOUR)).toBe(3);
    const ending = openCompute(NO_COMPUTE, { least: 1, most: 2 }, 0, HOUR);
    expect(computeUsd(measureCompute(ending, 9, 5 * HOUR), 5 * HOUR)).toBe(2);
    expect(measureCompute(NO_COMPUTE, 9, HOUR)).toEqual(NO_COMPUTE);
  });
});

describe("the account's prices", () => {
  const table = tableOf("modal");
  const judged = (gpus: Record<string, number>, more = {}) => judgePrices({ gpus, ...more }, table);

  test("count where the account names them, the table where not", () => {
    const { prices: known, used, refused } = judged({ H100: 3.5, T4: 0.6 }, { cpuCore: 0.1 });
    expect(known).toMatchObject({ cpuCore: 0.1, memoryGiB: table.memoryGiB });
    expect(known.gpus).toMatchObject({ H100: 3.5, T4: 0.6, H200: table.gpus.H200 as number });
    expect([used, refused]).toEqual([3, []]);
  });

  test("are not believed when they cannot be true, and are named", () => {
    for (const absurd of [0, -1, Number.NaN, Infinity, 3949, 0.0011]) {
      const { prices: known, used, refused } = judged({ H100: absurd }, { memoryGiB: absurd });
      expect([known, used, refused]).toEqual([table, 0, [`H100 $${absurd}`, `GiB of memory $${absurd}`]]);
    }
  });

  test("of types that cannot be asked for are ignored", () => {
    expect(judged({ Z9: 1 })).toEqual({ prices: table, used: 0, refused: [] });
  });
});
