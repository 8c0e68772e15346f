import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createLocalGpus, type LocalGpus, type LocalGpusDeps } from "../../src/sandboxes/local/gpus/machine-gpus.ts";
import { systemClock } from "../../src/shared/clock.ts";

/** A stand-in for a machine with NVIDIA's driver: its files, with harmless devices in place of the GPUs. */
export interface GpuMachine {
  /** Holds proc, dev, sys and etc as the driver would fill them. */
  readonly root: string;
  write(path: string, content: string, mode?: number): void;
  device(name: string, like?: string): void;
  gpus(more?: Partial<LocalGpusDeps>): LocalGpus;
  remove(): void;
}

export interface StandInGpu {
  readonly name?: string;
  readonly minor: number;
  readonly bus: string;
}

export const uuidOf = (minor: number): string => `GPU-0000000${minor}-1111-2222-3333-444444444444`;

/** As the driver writes it, tabs and blanks included. */
export const information = ({ name = "NVIDIA H100 80GB HBM3", minor, bus }: StandInGpu): string =>
  `Model: \t\t ${name}\nIRQ:   \t\t 133\nGPU UUID: \t ${uuidOf(minor)}\nVideo BIOS: \t 96.00.74.00.01\nBus Type: \t PCIe\nDMA Size: \t 52 bits\nDMA Mask: \t 0xfffffffffffff\nBus Location: \t ${bus}\nDevice Minor: \t ${minor}\nGPU Firmware: \t 550.54.15\nGPU Excluded:\t No\n`;

/** Folder of the stand-in's libraries, which is outside of what sandboxes see anyway. */
export const LIBRARIES = "/opt/nvidia-stand-in/lib64";

export function createGpuMachine(
  gpus: readonly StandInGpu[],
  controls = ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"],
): GpuMachine {
  const root = mkdtempSync(join(tmpdir(), "opa-gpus-"));
  const write = (path: string, content: string, mode = 0o644) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
    chmodSync(join(root, path), mode);
  };
  const device = (name: string, like = "/dev/null") => {
    mkdirSync(dirname(join(root, "dev", name)), { recursive: true });
    symlinkSync(like, join(root, "dev", name)); // devices can be made by root alone
  };
  for (const name of gpus.length === 0 ? [] : controls) device(name);
  for (const gpu of gpus) {
    write(`proc/driver/nvidia/gpus/${gpu.bus}/information`, information(gpu));
    device(`nvidia${gpu.minor}`, gpu.minor % 2 === 0 ? "/dev/null" : "/dev/zero");
    const place = `devices/pci0000:00/${gpu.bus}`;
    write(`sys/${place}/numa_node`, `${gpu.minor}\n`);
    write(`sys/${place}/resource0`, "registers");
    mkdirSync(join(root, "sys/bus/pci/devices"), { recursive: true });
    symlinkSync(`../../../${place}`, join(root, "sys/bus/pci/devices", gpu.bus));
  }
  if (gpus.length > 0) {
    write("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15\n");
    write("proc/driver/nvidia/params", "ModifyDeviceFiles: 1\n");
    write("sys/module/nvidia/initstate", "live\n");
    write("etc/ld.so.conf.d/nvidia.conf", `# the driver\n${LIBRARIES}/\nrelative/is/ignored\n`);
    write(`${LIBRARIES}/libcuda.so.550.54.15`, "libcuda");
    symlinkSync("libcuda.so.550.54.15", join(root, LIBRARIES, "libcuda.so.1"));
    write(`${LIBRARIES}/libssl.so.3`, "not the driver's");
  }
  return {
    root,
    write,
    device,
    gpus: (more) => gpusAt(root, more),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** The GPUs of a stand-in that another process has made. */
export const gpusAt = (root: string, more: Partial<LocalGpusDeps> = {}): LocalGpus =>
  createLocalGpus({
    root,
    allowed: "auto",
    visible: undefined,
    order: undefined,
    clock: systemClock,
    log: () => {},
    ...more,
  });
