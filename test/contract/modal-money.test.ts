import { expect } from "bun:test";
import { DEFAULT_MACHINE } from "../../src/sandboxes/modal/create-params.ts";
import { modalTest } from "../support/modal-test.ts";
import { firstGpuAnswer } from "./gpu-use-support.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";

const modal = useModalServer({
  billingRates: {
    gpu_hour_cost_h100: "3.5",
    cpu_hour_cost: "0.04",
    cpu_hour_cost_sandbox: "0.12",
    mem_gib_hour_cost_sandbox: "0.02",
  },
  usage: { cores: 1.5, memoryGiB: 0.5 },
  devices: { H100: ["NVIDIA H200"], T4: [] },
});

const spec = (name: string, gpu: string | null = null) => ({
  name, tags: {}, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open" as const,
  machine: { ...DEFAULT_MACHINE, gpu: gpu === null ? null : { type: gpu, count: 1, exact: false } },
}); // biome-ignore format: a table

modalTest("a sandbox is created with limits of its own, which grow with its GPUs", async () => {
  const provider = modalProvider();
  const made = [await provider.create(spec("plain")), await provider.create(spec("gpu", "H100"))];
  const calls = (await modal().calls()).filter(({ method }) => /^SandboxCreate(V2)?$/.test(method));
  const resources = calls.map(({ request }) => (request.definition as { resources: object }).resources);
  expect(resources).toMatchObject([
    { milliCpu: 1000, milliCpuMax: 2000, memoryMb: 2048, memoryMbMax: 4096 },
    { milliCpu: 2000, milliCpuMax: 4000, memoryMb: 16_384, memoryMbMax: 32_768 },
  ]);
  await Promise.all(made.map((sandbox) => sandbox.terminate()));
  await provider.close();
});

modalTest(
  "the account's prices are read, and where the service does not tell them that is no fault of a sandbox",
  async () => {
    const provider = modalProvider();
    expect(await provider.prices?.()).toEqual({ gpus: { H100: 3.5 }, cpuCore: 0.12, memoryGiB: 0.02 });
    await modal().faults.add({ method: "WorkspaceBillingRates", code: 12, times: 1 });
    await expect(provider.prices?.()).rejects.toThrow();
    await provider.close();
  },
);

modalTest("a sandbox has a meter while it lives, and says since when it costs money and which GPUs came", async () => {
  const provider = modalProvider();
  const since = Date.now();
  const sandbox = await provider.create(spec("metered", "H100"));
  expect(sandbox.billedSince).toBeGreaterThanOrEqual(since);
  expect(sandbox.gpu).toMatchObject({ granted: { type: "H100" }, devices: ["NVIDIA H200"] });
  const usage = await sandbox.usage?.();
  expect(usage?.cpuCoreSeconds).toBeCloseTo((usage?.gpuSeconds ?? 0) * 2, 6);
  expect(usage?.memoryGiBSeconds).toBeCloseTo((usage?.gpuSeconds ?? 0) * 16, 6);
  await sandbox.terminate();
  expect(await sandbox.usage?.()).toEqual({ cpuCoreSeconds: 0, memoryGiBSeconds: 0, gpuSeconds: 0 });
  const asked = async () => (await modal().calls()).filter(({ method }) => method === "SandboxGetResourceUsage").length;
  await modal().faults.add({ method: "SandboxGetResourceUsage", code: 12, times: 1 });
  expect(await sandbox.usage?.()).toBeNull();
  const before = await asked();
  expect(await sandbox.usage?.()).toBeNull(); // a service that does not know the call is not asked again
  expect(await asked()).toBe(before);
  await provider.close();
});

modalTest("a sandbox says how busy its GPUs are, and is asked no more where it has no nvidia-smi", async () => {
  const provider = modalProvider();
  const [h100, t4] = [await provider.create(spec("busy", "H100")), await provider.create(spec("silent", "T4"))];
  const latest = { utilization: 50, gpus: 1, memoryUsedMiB: 1024, memoryTotalMiB: 81559 };
  expect(await firstGpuAnswer(h100)).toMatchObject({ samples: 1, isMissing: false, latest });
  expect(await firstGpuAnswer(t4)).toMatchObject({ samples: 0, failures: 0, isMissing: true, latest: null });
  await Promise.all([h100.terminate(), t4.terminate()]);
  await provider.close();
});
