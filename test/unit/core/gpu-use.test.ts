import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { creditOf, type GpuAnswer, type GpuUse, readAnswer, withGpuUse } from "../../../src/core/gpu-use.ts";

const sample = (utilization: number, gpus = 1) => ({
  ...{ at: 0, utilization, gpus, memoryUsedMiB: null, memoryTotalMiB: null },
});

describe("what nvidia-smi says of a sandbox's GPUs", () => {
  test("is the mean of their utilisation and all their memory", () => {
    expect(readAnswer("45, 1234, 81559\n15, 766, 81559\n", 2, 7)).toEqual({
      ...{ at: 7, utilization: 30, gpus: 2, memoryUsedMiB: 2_000, memoryTotalMiB: 163_118 },
    });
    expect(readAnswer("100, [N/A], 81559", 2, 7)).toMatchObject({ utilization: 100, gpus: 1, memoryUsedMiB: null });
  });

  test.each([
    ...["", "\n\n", "[N/A], 3, 4", "No devices were found", "NVIDIA H100 80GB HBM3", "-1, 0, 0", "101, 0, 0", "1e2, 0, 0", "NaN, 0, 0"],
    ...["0x10, 0, 0", "\u0665, 0, 0", "100000000000000000000, 0, 0", "5, 1, 2\n5, 1, 2\n5, 1, 2", "constructor", "__proto__, 1, 1"],
  ])("is no answer where it is %j", (text) => {
    expect(readAnswer(text, 2, 7)).toBeNull();
  }); // biome-ignore format: a list

  test("is within bounds, whatever a job puts in its place", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), fc.integer({ min: 1, max: 8 }), (text, gpus) => {
        const answer = readAnswer(text, gpus, 0);
        if (answer === null) return;
        expect(answer.utilization >= 0 && answer.utilization <= 100 && answer.gpus <= gpus).toBe(true);
      }),
    );
  });
});

describe("an answer stands", () => {
  test("between two answers as their mean, and no longer than a minute", () => {
    const known = { before: sample(20, 8), after: sample(60, 8), isQuiet: false };
    expect(creditOf({ ms: 20_000, ...known })).toEqual({ measuredSeconds: 160, busySeconds: 64 });
    expect(creditOf({ ms: 600_000, ...known }).measuredSeconds).toBe(480);
  });

  test("until the next command where no command runs and the GPUs are idle, and for a minute where they are not", () => {
    const quiet = { ms: 600_000, after: null, isQuiet: true };
    expect(creditOf({ ...quiet, before: sample(0) })).toEqual({ measuredSeconds: 600, busySeconds: 0 });
    expect(creditOf({ ...quiet, before: sample(80) })).toEqual({ measuredSeconds: 60, busySeconds: 48 });
    expect(creditOf({ ...quiet, before: null })).toEqual({ measuredSeconds: 0, busySeconds: 0 });
  });
});

test("never more is busy than is measured, nor measured than was held, whatever is added in whatever order", () => {
  const seconds = fc.double({ min: 0, max: 1e6, noNaN: true });
  const answer = fc.oneof<fc.Arbitrary<GpuAnswer | null>[]>(
    fc.constantFrom(null, { kind: "failed" }, { kind: "missing" }),
    fc.record({ kind: fc.constant("sample" as const), sample: fc.constant(sample(50)) }),
  );
  const change = fc.record({
    heldSeconds: seconds,
    measuredSeconds: seconds,
    busySeconds: seconds,
    until: fc.nat(),
    answer,
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1 }), (changes) => {
      const use = changes.reduce<GpuUse | undefined>((all, one) => withGpuUse(all, one), undefined) as GpuUse;
      expect(use.busySeconds <= use.measuredSeconds && use.measuredSeconds <= use.heldSeconds).toBe(true);
      expect(use.samples + use.failures).toBeLessThanOrEqual(changes.length);
    }),
  );
});
