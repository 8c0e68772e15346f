import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { gpusOf } from "../../../src/config/gpu.ts";
import { canEverFit, countGpus, createLine, describeWait, type LeaseUse } from "../../../src/core/admission.ts";
import { isOfType, machineType } from "../../../src/core/gpu-devices.ts";
import { gpuProblem } from "../../../src/core/gpu-problem.ts";
import { describeMachine } from "../../../src/core/machine-pool.ts";
import type { MachineGpu } from "../../../src/sandboxes/machine-gpus.ts";

const H100 = "NVIDIA H100 80GB HBM3";
const RTX = "NVIDIA GeForce RTX 4090";
const machineOf = (...names: string[]): MachineGpu[] => names.map((name, at) => ({ id: String(at), name }));
const wanted = (text: string) => gpusOf(text).map((gpu) => ({ ...gpu, onMachine: true }));
const limitsOf = (machine: readonly MachineGpu[], gpus: Record<string, number> = {}) => ({
  maxRunningJobs: 8,
  gpus: { total: 10, ...gpus },
  machine,
});
const lease = (jobID: string, devices: readonly string[], type = "H100"): LeaseUse & { jobID: string } => ({
  jobID,
  slots: 1,
  gpu: { type, count: devices.length, exact: false, onMachine: true },
  devices,
});
const choose = (text: string, machine: readonly MachineGpu[], leases: ReturnType<typeof lease>[] = [], gpus = {}) =>
  createLine({ leases, queue: [] }, limitsOf(machine, gpus), 0).choose("job", wanted(text));

describe("the type of a device", () => {
  test.each([
    [H100, "H100"],
    ["NVIDIA H200", "H200"],
    ["NVIDIA A100-SXM4-80GB", "A100-80GB"],
    ["NVIDIA A100-PCIE-40GB", "A100-40GB"],
    ["NVIDIA A10G", "A10G"],
    ["NVIDIA A10", "A10"],
    ["NVIDIA B200", "B200"],
    ["Tesla T4", "T4"],
    ["Tesla V100-SXM2-16GB", "V100"],
    ["NVIDIA GH200 480GB", "GH200"],
    ["NVIDIA GB10", "GB10"],
    ["NVIDIA A40", "A40"],
    [RTX, "RTX-4090"],
    ["NVIDIA GeForce RTX 4070 Ti SUPER", "RTX-4070-TI-SUPER"],
    ["NVIDIA RTX A6000", "RTX-A6000"],
    ["NVIDIA RTX 6000 Ada Generation", "RTX-6000-ADA-GENERATION"],
    ["Quadro RTX 5000", "QUADRO-RTX-5000"],
    ["NVIDIA TITAN RTX", "TITAN-RTX"],
    ["NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX-PRO-6000"],
    ["Graphics Device", null],
    ["NVIDIA GPU", null],
    ["constructor", null],
  ])("of %s is %p, by which it can be asked for", (name, type) => {
    expect(machineType(name)).toBe(type);
    if (type !== null) expect(gpusOf(type)[0]?.type).toBe(type);
    if (type !== null) expect(isOfType(type, name)).toBe(true);
    expect(isOfType("any", name)).toBe(true);
  });

  test("is asked for in short, and not by the name of a lesser one", () => {
    expect(isOfType("RTX-6000-ADA", "NVIDIA RTX 6000 Ada Generation")).toBe(true);
    expect(isOfType("RTX-4070", "NVIDIA GeForce RTX 4070 Ti")).toBe(false);
    expect(isOfType("RTX-4070", "NVIDIA GeForce RTX 4070 SUPER")).toBe(false);
    expect(isOfType("RTX-3080", "NVIDIA GeForce RTX 3080 Laptop GPU")).toBe(true);
    expect(isOfType("A100", "NVIDIA A100-SXM4-80GB")).toBe(true);
    expect(isOfType("A100-40GB", "NVIDIA A100-SXM4-80GB")).toBe(false);
  });
});

describe("GPUs of this machine are chosen", () => {
  test("by type and count, from those that nobody has", () => {
    const machine = machineOf(H100, RTX, H100);
    expect(choose("H100", machine)).toMatchObject({ gpu: { type: "H100", count: 1 }, devices: ["0"] });
    expect(choose("H100:2", machine)).toMatchObject({ devices: ["0", "2"] });
    expect(choose("H100", machine, [lease("other", ["0"])])).toMatchObject({ devices: ["2"] });
    expect(choose("H100", machine, [lease("other", ["0", "2"])])).toBeNull();
    expect(choose("H100:3", machine)).toBeNull();
  });

  test("for any as one type where that has enough, and named after it", () => {
    const machine = machineOf(RTX, H100, H100);
    expect(choose("any", machine)).toMatchObject({ gpu: { type: "RTX-4090" }, devices: ["0"] });
    expect(choose("any:2", machine)).toMatchObject({ gpu: { type: "H100" }, devices: ["1", "2"] });
    expect(choose("any:3", machine)).toMatchObject({ gpu: { type: "any" }, devices: ["0", "1", "2"] });
  });

  test("down a preference list, past what the machine has not or others have", () => {
    const machine = machineOf(RTX, H100);
    expect(choose("B200|H100|any", machine)).toMatchObject({ devices: ["1"] });
    expect(choose("B200|H100|any", machine, [lease("other", ["1"])])).toMatchObject({ devices: ["0"] });
  });

  test("within gpuLimits, which also count GPUs elsewhere", () => {
    const machine = machineOf(H100, H100);
    expect(choose("H100", machine, [lease("other", ["0"])], { H100: 1 })).toBeNull();
    expect(choose("any", machine, [], { total: 0 })).toBeNull();
    const modal = { jobID: "m", slots: 1 as const, gpu: { type: "H100", count: 8, exact: false } };
    const line = createLine({ leases: [modal], queue: [] }, limitsOf(machine), 0);
    expect(line.choose("job", wanted("H100:2"))).toMatchObject({ devices: ["0", "1"] });
    expect(createLine({ leases: [modal], queue: [] }, limitsOf(machine, { total: 9 }), 0).choose("job", wanted("H100:2"))).toBeNull(); // biome-ignore format: one line
  });

  test("as those that the job's living sandbox has, before a better preference", () => {
    const machine = machineOf(H100, RTX, H100);
    const state = { leases: [lease("job", ["2"])], queue: [] };
    expect(createLine(state, limitsOf(machine), 0).choose("job", wanted("H100"))).toMatchObject({ devices: ["2"] });
    const left = { leases: [], queue: [], ownDevices: ["1"] };
    expect(createLine(left, limitsOf(machine), 0).choose("job", wanted("H100|RTX-4090"))).toMatchObject({ devices: ["1"] }); // biome-ignore format: one line
  });

  test("for a job that waits long before those behind it", () => {
    const machine = machineOf(H100, H100);
    const entry = (jobID: string, gpu: string, since: number) => ({ jobID, since, gpus: wanted(gpu) });
    const queue = [entry("big", "H100:2", 0), entry("small", "any", 1)];
    const leases = [lease("other", ["0"])];
    expect(createLine({ leases, queue }, limitsOf(machine), 1_000).choose("small", wanted("any"))).not.toBeNull();
    expect(createLine({ leases, queue }, limitsOf(machine), 10 ** 7).choose("small", wanted("any"))).toBeNull();
  });

  test("never twice, whatever is asked for in whatever order", () => {
    const name = fc.constantFrom(H100, RTX, "NVIDIA A100-SXM4-80GB", "Graphics Device");
    const ask = fc.constantFrom(
      "any",
      "any:2",
      "H100",
      "H100:2|any",
      "RTX-4090|H100",
      "A100",
      "A100-40GB",
      "A100-80GB:3",
    );
    const step = fc.record({ ask, ends: fc.nat(5) });
    fc.assert(
      fc.property(fc.array(name, { maxLength: 5 }), fc.array(step, { maxLength: 12 }), (names, steps) => {
        const machine = machineOf(...names);
        let leases: ReturnType<typeof lease>[] = [];
        for (const [at, { ask: text, ends }] of steps.entries()) {
          const choice = createLine({ leases, queue: [] }, limitsOf(machine, { total: 4 }), 0).choose(
            `j${at}`,
            wanted(text),
          );
          if (choice?.gpu) leases.push({ ...lease(`j${at}`, choice.devices ?? []), gpu: choice.gpu });
          const given = leases.flatMap(({ devices }) => devices ?? []);
          expect(new Set(given).size).toBe(given.length);
          expect(given.length).toBeLessThanOrEqual(Math.min(4, machine.length));
          if (choice?.gpu) expect(choice.devices).toHaveLength(choice.gpu.count);
          for (const id of choice?.devices ?? [])
            expect(wanted(text).some(({ type }) => isOfType(type, machine[Number(id)]?.name ?? ""))).toBe(true);
          leases = leases.filter((_, index) => index !== ends);
        }
      }),
    );
  });
});

describe("in words and numbers", () => {
  test("a job waits for GPUs of this machine", () => {
    const machine = machineOf(H100, H100, RTX);
    const leases = [lease("a", ["0"]), lease("b", ["1", "2"])];
    const told = (text: string, ahead = 0) => describeWait(wanted(text), leases, ahead, limitsOf(machine));
    expect(told("any")).toBe("waiting for 1 GPU (3 of 3 in use)");
    expect(told("any:2")).toBe("waiting for 2 GPUs (3 of 3 in use)");
    expect(told("H100", 1)).toBe("waiting for 1 H100 (2 of 2 in use, behind 1 queued job)");
    expect(told("B200|H100|RTX-4090")).toBe("waiting for 1 H100 (2 of 2 in use) or 1 RTX-4090 (1 of 1 in use)");
    const limited = limitsOf(machine, { total: 1 });
    expect(describeWait(wanted("any"), [lease("a", ["0"])], 0, limited)).toBe("waiting for 1 GPU (1 of 1 GPUs in use)");
  });

  test("the pool has the machine's GPUs by type", () => {
    const machine = machineOf(H100, H100, "Graphics Device");
    expect(countGpus([lease("a", ["0"])], { total: 10, H100: 1, T4: 4 }, machine)).toEqual({
      total: { used: 1, limit: 3 },
      H100: { used: 1, limit: 1 },
      T4: { used: 0, limit: 4 },
      any: { used: 0, limit: 1 },
    });
    expect(describeMachine(machine)).toBe("2 H100 and 1 GPU");
    expect(canEverFit(wanted("H100:3"), { total: 10 }, machine)).toBe(false);
  });

  const problem = (
    gpu: string,
    machine: { gpus: MachineGpu[]; why: string | null } | null,
    gpuLimits = { total: 10 },
  ) => gpuProblem(gpu, gpusOf(gpu), { provider: "local", machine, gpuLimits });

  test("what this machine has not is refused, with what it has", () => {
    const machine = { gpus: machineOf(H100, H100), why: null };
    expect(problem("any", machine)).toBeNull();
    expect(problem("B200|H100:2", machine)).toBeNull();
    expect(problem("B200", machine)).toContain('gpu "B200" cannot be had: jobs run in local sandboxes here, and this machine has 2 H100 for them'); // biome-ignore format: one line
    expect(problem("H100:3", machine)).toContain("2 H100");
    expect(problem("any:2", machine, { total: 1 })).toContain("gpuLimits");
    expect(problem("any", { gpus: [], why: "no NVIDIA driver is loaded on this machine" })).toContain("because no NVIDIA driver is loaded"); // biome-ignore format: one line
    expect(problem("any", { gpus: [], why: 'the option "local.gpus" is "none"' })).toContain('"local.gpus" is "none"');
  });

  test("what only machines of users have is refused on Modal, with what Modal has", () => {
    for (const gpu of ["any", "H100|any", "RTX-4090:2"])
      expect(gpuProblem(gpu, gpusOf(gpu), { provider: "modal", gpuLimits: { total: 10 } })).toContain("known: T4");
    expect(gpuProblem("H100:8", gpusOf("H100:8"), { provider: "modal", gpuLimits: { total: 10 } })).toBeNull();
  });
});
