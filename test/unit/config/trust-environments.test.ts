import { describe, expect, test } from "bun:test";
import { beside, inDefault } from "./load-with.ts";

test("a new environment starts from the user's default, without his variables, secrets and storage", async () => {
  const mine = { network: "blocked", memoryMiB: 512, hostEnv: ["A"], env: { B: "1" }, secrets: ["s"], ports: [80] };
  const user = { environments: { default: mine, other: { network: "open", hostEnv: ["C"] } } };
  const { options, ignored } = await beside(user, { environments: { own: { image: "x" } } });
  expect(options.environments.own).toMatchObject({ image: "x", network: "blocked", memoryMiB: 512 });
  expect(options.environments.own).toMatchObject({ hostEnv: [], env: {}, secrets: [], ports: [] });
  expect(options.environments.other).toMatchObject({ network: "open", hostEnv: ["C"] });
  expect(ignored).toEqual([]);
});

describe("the machine of a new environment", () => {
  const few = { gpuLimits: { total: 4, H100: 2 } };
  test.each<[string, object, string]>([
    ["a GPU", {}, "T4"],
    ["as many as the user's total", {}, "h100:8"],
    ["as many as his limit of the type", few, "H100:2"],
    ["alternatives that all fit", few, "H100!:2|T4:4"],
  ])("may have %s where the user's default has none", async (_what, user, gpu) => {
    const { options, ignored } = await beside(user, { environments: { own: { gpu } } });
    expect([options.environments.own?.gpu, options.environments.default.gpu, ignored]).toEqual([gpu, null, []]);
  });

  test.each<[string, object, string]>([
    ["than the user's total", few, "T4:5"],
    ["than his limit of the type, in any case", few, "h100:3"],
    ["in one of the alternatives", few, "T4|H100:3"],
    ["in one of the alternatives by the total", few, "T4:4|A100:5"],
    ["where he allows none of the type", { gpuLimits: { H100: 0 } }, "H100!"],
    ["where he allows none at all", { gpuLimits: { total: 0, T4: 8 } }, "T4"],
    ["than a type's limit that is above the total", { gpuLimits: { total: 1, T4: 8 } }, "T4:2"],
  ])("has no more GPUs %s", async (_what, user, gpu) => {
    const { options, ignored } = await beside(user, { environments: { own: { gpu } } });
    expect([options.environments.own?.gpu, ignored]).toEqual([null, ["environments.own.gpu"]]);
  });

  test("does not have the GPU of the user's default", async () => {
    const { options, ignored } = await beside(inDefault({ gpu: "T4" }), { environments: { own: { gpu: null } } });
    expect([options.environments.own?.gpu, ignored]).toEqual([null, []]);
  });

  test("is at most as large as the largest of the user's", async () => {
    const user = { environments: { default: { cpu: 0.5, memoryMiB: 512 }, big: { cpu: 8, memoryMiB: 16_384 } } };
    const at = { cpu: 8, memoryMiB: 16_384 };
    const over = { cpu: 9, memoryMiB: 16_385 };
    const { options, ignored } = await beside(user, { environments: { at, over, provider: { memoryMiB: null } } });
    expect(options.environments).toMatchObject({ at, over: user.environments.default, provider: { memoryMiB: 512 } });
    expect(ignored).toEqual([
      "environments.over.cpu",
      "environments.over.memoryMiB",
      "environments.provider.memoryMiB",
    ]);
  });

  test("may use no more than the largest of the user's, by its own limits or by default", async () => {
    const user = { environments: { default: {}, big: { cpu: 8, cpuLimit: 8, memoryMiB: 512 } } };
    const own = { cpu: 8 };
    const over = { cpuLimit: 9, memoryLimitMiB: 4097 };
    const within = { cpuLimit: 4, memoryLimitMiB: 3000 };
    const { options, ignored } = await beside(user, { environments: { own, over, within } });
    expect(options.environments).toMatchObject({ own: { cpu: 8, cpuLimit: 8 }, within });
    expect(ignored).toEqual(["environments.over.cpuLimit", "environments.over.memoryLimitMiB"]);
    const tight = inDefault({ memoryMiB: 512 }); // which is the limit of local sandboxes
    expect((await beside(tight, inDefault({ memoryLimitMiB: 2048, cpuLimit: 2 }))).ignored).toEqual([
      "environments.default.memoryLimitMiB",
    ]);
  });

  test("does not raise the bound for another environment of the project", async () => {
    const { ignored } = await beside({}, { environments: { a: { cpu: 1 }, b: { cpu: 2 }, c: { cpu: 2 } } });
    expect(ignored).toEqual(["environments.b.cpu", "environments.c.cpu"]);
  });
});

test("treats names of JavaScript's own properties like any other name of an environment", async () => {
  const { options, ignored } = await beside({}, { environments: { toString: { network: "blocked" }, valueOf: {} } });
  expect(options.environments.toString as unknown).toMatchObject({ network: "blocked", workdir: "/workspace" });
  expect(ignored).toEqual([]);
});

test("accepts sixteen new environments and names the others as ignored", async () => {
  const environments = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`e${at}`, {}]));
  const { options, ignored } = await beside({}, { environments });
  expect(Object.keys(options.environments)).toHaveLength(17);
  expect(ignored).toHaveLength(24);
});
