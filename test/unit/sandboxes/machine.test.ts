import { describe, expect, test } from "bun:test";
import { environmentSchema } from "../../../src/config/environment.ts";
import { toMachineSpec, toSandboxSpec } from "../../../src/sandboxes/environment.ts";
import { refuseUnsupported } from "../../../src/sandboxes/local/unsupported-spec.ts";

const specOf = (recipe: object) =>
  toSandboxSpec(environmentSchema.parse(recipe), {}, { name: "job_1", tags: {}, snapshotID: null });

describe("the machine of an environment", () => {
  test("is what the recipe says, with times in milliseconds and no GPU yet", () => {
    expect(toMachineSpec(environmentSchema.parse({ gpu: "h100:8|T4", cpu: 2, sandboxTimeoutMinutes: 5 }))).toMatchObject({
      gpu: null, cpu: 2, image: null, lifetimeMs: 300_000, idleTimeoutMs: 1_200_000,
    }); // biome-ignore format: a table
  });

  test("is refused by local sandboxes when it asks for what this computer cannot give", () => {
    expect(() => refuseUnsupported(specOf({}))).not.toThrow();
    for (const [recipe, name] of [
      [{ image: "python:3.12" }, "image"],
      [{ secrets: ["s"] }, "secrets"],
      [{ ports: [80] }, "ports"],
      [{ volumes: { "/data": "d" } }, "volumes"],
      [{ imageSecret: "s" }, "imageSecret"],
      [{ cloud: "aws" }, "cloud"],
      [{ proxy: "p" }, "proxy"],
      [{ runtime: "vm" }, "runtime"],
    ] as const) {
      expect(() => refuseUnsupported(specOf(recipe))).toThrow(`cannot have ${name};`);
    }
    const spec = specOf({});
    const gpu = { type: "T4", count: 1, exact: false };
    const machine = { ...toMachineSpec(environmentSchema.parse({})), gpu };
    expect(() => refuseUnsupported({ ...spec, machine })).toThrow("cannot have gpu;");
  });
});
