import { describe, expect, test } from "bun:test";
import { environmentSchema } from "../../../src/config/environment.ts";
import { gpusOf } from "../../../src/config/gpu.ts";
import { resourcesOf } from "../../../src/config/resources.ts";

const of = (recipe: object, gpu: string | null = null) =>
  resourcesOf(environmentSchema.parse(recipe), gpusOf(gpu)[0] ?? null);

describe("what a sandbox on Modal asks for, and the most it may use", () => {
  test("is by default a core and 2 GiB, and twice that", () => {
    expect(of({})).toEqual({ cpu: 1, cpuLimit: 2, memoryMiB: 2048, memoryLimitMiB: 4096 });
    expect(of({ cpu: 0.25, memoryMiB: 512 })).toMatchObject({ cpuLimit: 2, memoryLimitMiB: 4096 });
    expect(of({ cpu: 4, memoryMiB: 10_000 })).toMatchObject({ cpuLimit: 8, memoryLimitMiB: 20_000 });
  });

  test("grows with the GPUs unless the environment says otherwise", () => {
    expect(of({}, "T4")).toEqual({ cpu: 2, cpuLimit: 4, memoryMiB: 16_384, memoryLimitMiB: 32_768 });
    expect(of({}, "H100:8")).toEqual({ cpu: 16, cpuLimit: 32, memoryMiB: 131_072, memoryLimitMiB: 262_144 });
    expect(of({ cpu: 4, memoryLimitMiB: 140_000 }, "H100:8")).toEqual({
      cpu: 4, cpuLimit: 8, memoryMiB: 131_072, memoryLimitMiB: 140_000,
    }); // biome-ignore format: a table
  });

  test("never asks for more than a limit allows, whichever GPUs a task takes", () => {
    expect(of({ cpu: 1, cpuLimit: 4, memoryLimitMiB: 8192 }, "H100:8")).toEqual({
      cpu: 1, cpuLimit: 4, memoryMiB: 8192, memoryLimitMiB: 8192,
    }); // biome-ignore format: a table
  });

  test("is refused where a limit is below its request, with both names", () => {
    const messages = (recipe: object) =>
      environmentSchema.safeParse(recipe).error?.issues.map(({ path, message }) => `${path}: ${message}`);
    expect(messages({ cpu: 4, cpuLimit: 2 })).toEqual(["cpuLimit: at least 4, which cpu is"]);
    expect(messages({ memoryMiB: 4096, memoryLimitMiB: 4095 })).toEqual([
      "memoryLimitMiB: at least 4096, which memoryMiB is",
    ]);
    expect(messages({ cpuLimit: 0.5 })).toEqual(["cpuLimit: at least 1, which cpu is by default"]);
    expect(messages({ cpuLimit: 8, gpu: "T4|H100:8" })).toEqual([
      "cpuLimit: at least 16, which cpu is by default with H100:8",
    ]);
    expect(messages({ cpu: 2, cpuLimit: 2, memoryMiB: 64, memoryLimitMiB: 64 })).toBeUndefined();
    expect(messages({ cpuLimit: 0.5, gpu: "Z1" })?.join()).toContain("gpu: "); // its own mistake, and nothing throws
  });
});
