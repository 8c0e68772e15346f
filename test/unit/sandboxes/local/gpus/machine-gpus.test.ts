import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { NO_DRIVER } from "../../../../../src/sandboxes/local/gpus/read-driver.ts";
import type { MachineGpu } from "../../../../../src/sandboxes/machine-gpus.ts";
import type { Clock } from "../../../../../src/shared/clock.ts";
import { createGpuMachine, type GpuMachine, type StandInGpu, uuidOf } from "../../../../support/gpu-machine.ts";

const machines: GpuMachine[] = [];
afterEach(() => {
  for (const machine of machines.splice(0)) machine.remove();
});
function machineWith(gpus: readonly StandInGpu[], controls?: string[]): GpuMachine {
  const machine = createGpuMachine(gpus, controls);
  machines.push(machine);
  return machine;
}

const THREE = [2, 0, 1].map((minor) => ({ minor, bus: `0000:0${9 - minor}:00.0` }));
const idsOf = ({ gpus }: { gpus: readonly { id: string }[] }) => gpus.map(({ id }) => id);
/** Whose limits are over once the file exists. */
const overAt = (path: string): Clock => ({
  now: () => 0,
  after(_, callback) {
    const timer = setInterval(() => existsSync(path) && callback(), 5);
    return () => clearInterval(timer);
  },
});

describe("the GPUs of a machine", () => {
  test("are found in the order of their bus, by the numbers of their nodes", async () => {
    const gpus = machineWith(THREE).gpus();
    expect(gpus.known()).toBeNull();
    const found = await gpus.read();
    expect(found).toMatchObject({ why: null });
    expect(idsOf(found)).toEqual(["2", "1", "0"]);
    expect(gpus.known()).toBe(found);
  });

  test.each([
    [[], NO_DRIVER],
    [["kfd"], "AMD"],
    [["dxg"], "WSL"],
  ])("are none without NVIDIA's driver (%p), which is said", async (devices, why) => {
    const machine = machineWith([]);
    for (const name of devices) machine.device(name);
    expect(await machine.gpus().read()).toEqual({ gpus: [], why: expect.stringContaining(why) });
  });

  test("are looked for again only while there are none", async () => {
    const machine = machineWith([]);
    const gpus = machine.gpus();
    await gpus.read();
    machine.write("proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: Tesla T4\nDevice Minor: 0\n");
    machine.device("nvidia0");
    expect(idsOf(await gpus.read())).toEqual(["0"]);
    machine.remove();
    expect(idsOf(await gpus.read())).toEqual(["0"]);
  });

  test("are limited by the option, whose numbers are nvidia-smi's", async () => {
    const machine = machineWith(THREE);
    expect(idsOf(await machine.gpus({ allowed: [0, 2] }).read())).toEqual(["2", "0"]);
    expect(await machine.gpus({ allowed: "none" }).read()).toEqual({
      gpus: [],
      why: expect.stringContaining("local.gpus"),
    });
    expect(await machine.gpus({ allowed: [] }).read()).toEqual({
      gpus: [],
      why: expect.stringContaining("local.gpus"),
    });
    expect(await machine.gpus({ allowed: [1, 7] }).read()).toEqual({
      gpus: [expect.objectContaining({ id: "1" })],
      why: 'the option "local.gpus" names 7, and this machine has 0 to 2',
    });
  });

  test.each([
    ["", []],
    ["-1", []],
    ["NoDevFiles", []],
    ["2,0", ["2", "0"]],
    ["0,9,1", ["2"]],
    [uuidOf(1), ["1"]],
    [` ${uuidOf(1).slice(0, 12)} , 2`, ["1", "0"]],
    ["MIG-1", []],
  ])("are limited by CUDA_VISIBLE_DEVICES=%p as CUDA reads it, unless the option names them", async (visible, ids) => {
    const machine = machineWith(THREE);
    const found = await machine.gpus({ visible }).read();
    expect(idsOf(found)).toEqual(ids);
    expect(found.why).toContain("CUDA_VISIBLE_DEVICES");
    expect(idsOf(await machine.gpus({ visible, allowed: [0, 1, 2] }).read())).toEqual(["2", "1", "0"]);
  });

  test("of several kinds are not guessed from numbers that CUDA may count otherwise", async () => {
    const machine = machineWith(
      THREE.map((gpu, n) => ({ ...gpu, name: n === 0 ? "NVIDIA GeForce GTX 1650" : "NVIDIA H100" })),
    );
    const found = await machine.gpus({ visible: "1" }).read();
    expect(found).toEqual({ gpus: [], why: expect.stringContaining("set CUDA_DEVICE_ORDER=PCI_BUS_ID there too") });
    expect(idsOf(await machine.gpus({ visible: "1", order: "PCI_BUS_ID" }).read())).toEqual(["1"]);
    expect(idsOf(await machine.gpus({ visible: uuidOf(1) }).read())).toEqual(["1"]);
    expect(idsOf(await machine.gpus({ visible: "1", allowed: [0] }).read())).toEqual(["2"]);
  });

  test("whose nodes are missing or no devices are left out and named", async () => {
    const machine = machineWith(THREE);
    rmSync(join(machine.root, "dev/nvidia0"));
    rmSync(join(machine.root, "dev/nvidia1"));
    machine.write("dev/nvidia1", "a file");
    machine.write("proc/driver/nvidia/gpus/0000:0f:00.0/information", "GPU Excluded: Yes\nDevice Minor: 4\n");
    const found = await machine.gpus().read();
    expect(idsOf(found)).toEqual(["2"]);
    expect(found.why).toContain("/dev/nvidia0 does not exist");
    expect(found.why).toContain("/dev/nvidia1 is no device");
    expect(found.why).toContain("1 of 4 did not answer or are excluded");
  });

  test("get their names from nvidia-smi where the driver's files do not say them", async () => {
    const machine = machineWith([]);
    machine.write("proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: Unknown\nDevice Minor: 0\n");
    machine.device("nvidia0");
    machine.write("usr/bin/nvidia-smi", `#!/bin/sh\necho "Tesla T4, ${uuidOf(0)}, 00000000:01:00.0"\n`, 0o755);
    expect((await machine.gpus().read()).gpus).toEqual([
      { id: "0", name: "Tesla T4", uuid: uuidOf(0), bus: "0000:01:00.0" } as MachineGpu,
    ]);
  });

  test("are found by their nodes alone, with nvidia-smi's names if it has as many", async () => {
    const machine = machineWith([]);
    for (const name of ["nvidia0", "nvidia1", "nvidiactl", "nvidia-caps"]) machine.device(name);
    expect((await machine.gpus().read()).gpus.map(({ name }) => name)).toEqual(["NVIDIA GPU", "NVIDIA GPU"]);
    machine.write("usr/bin/nvidia-smi", "#!/bin/sh\necho 'A, GPU-11111111, 00000000:01:00.0'\n", 0o755);
    expect((await machine.gpus().read()).gpus.map(({ name }) => name)).toEqual(["NVIDIA GPU", "NVIDIA GPU"]);
    machine.write("usr/bin/nvidia-smi", "#!/bin/sh\necho 'B, GPU-22222222, 00000000:02:00.0\nA, GPU-11111111, 00000000:01:00.0'\n", 0o755); // biome-ignore format: one line
    expect((await machine.gpus().read()).gpus.map(({ name }) => name)).toEqual(["A", "B"]);
  });

  test("are found though nvidia-smi hangs", async () => {
    const machine = machineWith([]);
    machine.device("nvidia0");
    const asked = join(machine.root, "asked");
    machine.write("usr/bin/nvidia-smi", `#!/bin/sh\ntouch ${asked}; exec sleep 600\n`, 0o755);
    expect(idsOf(await machine.gpus({ clock: overAt(asked) }).read())).toEqual(["0"]);
    expect(existsSync(asked)).toBe(true);
  });

  test("do not need nvidia-smi where the driver's files say all", async () => {
    const machine = machineWith(THREE);
    machine.write("usr/bin/nvidia-smi", `#!/bin/sh\ntouch ${machine.root}/asked\n`, 0o755);
    machine.write("usr/bin/nvidia-modprobe", `#!/bin/sh\ntouch ${machine.root}/asked\n`, 0o755);
    expect((await machine.gpus().read()).gpus).toHaveLength(3);
    expect(await Bun.file(join(machine.root, "asked")).exists()).toBe(false);
  });
});

describe("what is lent of them", () => {
  test("has the nodes of a partitioned GPU's parts, its own only", async () => {
    const machine = machineWith(THREE);
    const capability = (path: string, minor: number) => {
      machine.write(`proc/driver/nvidia/capabilities/${path}/access`, `DeviceFileMinor: ${minor}\n`);
      machine.device(`nvidia-caps/nvidia-cap${minor}`);
    };
    capability("gpu0/mig/gi1", 12);
    capability("gpu0/mig/gi1/ci0", 13);
    capability("gpu1/mig/gi1", 147);
    capability("mig/config", 1);
    const { lent } = await machine.gpus().lend(["0"]);
    expect(lent.nodes.map(({ at }) => at).filter((at) => at.includes("cap"))).toEqual(["/dev/nvidia-caps/nvidia-cap12", "/dev/nvidia-caps/nvidia-cap13"]); // biome-ignore format: one line
    expect(lent.files.map(({ at }) => at)).toContain("/proc/driver/nvidia/capabilities/gpu0");
    expect((await machine.gpus().lend(["2"])).lent.nodes.map(({ at }) => at).join()).not.toContain("cap");
  });

  test("says when CUDA lacks a node, and that a GPU is gone", async () => {
    const machine = machineWith(THREE, ["nvidiactl"]);
    const gpus = machine.gpus();
    expect((await gpus.lend(["0"])).lent.notes.join()).toContain("/dev/nvidia-uvm does not exist");
    await expect(gpus.lend(["0", "7"])).rejects.toMatchObject({ code: "no_capacity", message: expect.stringContaining("/dev/nvidia7") }); // biome-ignore format: one line
  });
});
