import { describe, expect, test } from "bun:test";
import { environmentSchema } from "../../../src/config/environment.ts";
import { gpusOf, toMachineSpec, toSandboxSpec } from "../../../src/sandboxes/environment.ts";
import { refuseForeignMachine } from "../../../src/sandboxes/local/foreign-machine.ts";

const specOf = (recipe: object) =>
  toSandboxSpec(environmentSchema.parse(recipe), {}, { name: "job_1", tags: {}, snapshotID: null });

describe("the machine of an environment", () => {
  test("is what the recipe says, times in milliseconds", () => {
    expect(toMachineSpec(environmentSchema.parse({ gpu: "h100:8|T4", cpu: 2, sandboxTimeoutMinutes: 5 }))).toMatchObject({
      gpus: [{ type: "H100", count: 8, exact: false }, { type: "T4", count: 1, exact: false }],
      cpu: 2, image: null, lifetimeMs: 300_000, idleTimeoutMs: 1_200_000,
    }); // biome-ignore format: a table
    expect(gpusOf(null)).toEqual([]);
    expect(() => gpusOf("many")).toThrow();
  });

  test("is taken by a local sandbox only when it is this one", () => {
    expect(() => refuseForeignMachine(specOf({}))).not.toThrow();
    for (const [recipe, name] of [
      [{ gpu: "T4" }, "gpu"],
      [{ image: "python:3.12" }, "image"],
      [{ secrets: ["s"] }, "secrets"],
      [{ ports: [80] }, "ports"],
    ] as const) {
      expect(() => refuseForeignMachine(specOf(recipe))).toThrow(`cannot have ${name};`);
    }
  });
});
