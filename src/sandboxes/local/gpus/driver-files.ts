import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { join, posix } from "node:path";
import { isWithin } from "../../../config/host-paths.ts";
import { findTool } from "../host-tools.ts";
import { parseCapability } from "./driver-text.ts";
import type { FoundGpu } from "./read-driver.ts";

/** A path of the host and where it is in a sandbox. */
export interface Lent {
  readonly from: string;
  readonly at: string;
}

/** What a sandbox needs to use its GPUs, and nothing of others. */
export interface LentGpus {
  /** Device nodes. */
  readonly nodes: readonly Lent[];
  /** Files and folders, read-only. Those below /proc/driver are all that is left there. */
  readonly files: readonly Lent[];
  readonly links: readonly { readonly at: string; readonly to: string }[];
  /** Where a sandbox sees no other GPUs: numbered from 0. */
  readonly env: Readonly<Record<string, string>>;
  /** Where a process sees all GPUs, whose own are named. */
  readonly envAmongAll: Readonly<Record<string, string>>;
  /** What the job should know of them, one sentence each. */
  readonly notes: readonly string[];
}

const CONTROL = ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset"];
/** Without these CUDA does not start. */
const NEEDED = ["nvidiactl", "nvidia-uvm"];
const DRIVER = ["version", "params", "registry"];
/** What the user's part of the driver reads of its modules and of a GPU's place. Never whole folders: root's secrets lie there. */
const MODULES = ["nvidia", "nvidia_uvm", "nvidia_modeset"];
const OF_MODULE = ["initstate", "version", "refcnt"];
const OF_DEVICE = [
  "numa_node", "vendor", "device", "class", "revision", "subsystem_vendor", "subsystem_device", "local_cpus", "local_cpulist",
  "current_link_speed", "current_link_width", "max_link_speed", "max_link_width",
]; // biome-ignore format: a table
/** CUDA ends its start with an error where it cannot read the machine's processors and memory. */
const SYSTEM = ["/sys/devices/system/cpu", "/sys/devices/system/node"];
/** What every sandbox has of the system anyway. */
const VISIBLE = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"];
/** The user's part of the driver, as NVIDIA's own tools for containers list it. */
const LIBRARY =
  /^lib(?:cuda|cudadebugger|nvcuvid|nvoptix|nvidia-[a-z0-9-]+|vdpau_nvidia|(?:EGL|GLX|GLESv1_CM|GLESv2)_nvidia)\.so(?:\.|$)/;
const MOST_CAPABILITIES = 64;

/** What the sandbox of a job gets that is given these GPUs. */
export function lendGpus(root: string, gpus: readonly FoundGpu[]): LentGpus {
  const at = (path: string) => join(root || "/", path);
  const there = (path: string): Lent[] => (existsSync(at(path)) ? [{ from: at(path), at: path }] : []);
  const parts = gpus.flatMap(({ id }) => migNodes(root, id));
  const folders = gpus.flatMap(({ bus }) => (bus === null ? [] : [bus]));
  const devices = folders.flatMap((bus) => deviceOf(root, bus) ?? []);
  const numbers = gpus.map((_, index) => String(index)).join(",");
  const names = gpus.map(({ id, uuid }) => uuid ?? id).join(",");
  const order = { CUDA_DEVICE_ORDER: "PCI_BUS_ID" };
  return {
    nodes: [
      ...gpus.flatMap(({ id }) => there(`/dev/nvidia${id}`)),
      ...CONTROL.flatMap((name) => there(`/dev/${name}`)),
      ...parts.flatMap((minor) => there(`/dev/nvidia-caps/nvidia-cap${minor}`)),
    ],
    files: [
      ...DRIVER.flatMap((name) => there(`/proc/driver/nvidia/${name}`)),
      ...folders.flatMap((bus) => there(`/proc/driver/nvidia/gpus/${bus}`)),
      ...(parts.length > 0 ? gpus.flatMap(({ id }) => there(`/proc/driver/nvidia/capabilities/gpu${id}`)) : []),
      ...there("/proc/driver/nvidia-uvm"),
      ...MODULES.flatMap((name) => OF_MODULE.flatMap((file) => there(`/sys/module/${name}/${file}`))),
      ...devices.flatMap((device) => OF_DEVICE.flatMap((file) => there(`${device.to}/${file}`))),
      ...SYSTEM.flatMap(there),
      ...elsewhere(root),
    ],
    links: devices,
    env: { ...order, CUDA_VISIBLE_DEVICES: numbers, NVIDIA_VISIBLE_DEVICES: numbers },
    envAmongAll: { ...order, CUDA_VISIBLE_DEVICES: names, NVIDIA_VISIBLE_DEVICES: names },
    notes: NEEDED.filter((name) => !existsSync(at(`/dev/${name}`))).map(
      (name) =>
        `CUDA may not start: /dev/${name} does not exist on this machine (remedy: run nvidia-modprobe -u -c=0).`,
    ),
  };
}

/** Programs and libraries of the driver outside the folders that every sandbox sees. */
function elsewhere(root: string): Lent[] {
  const at = (path: string) => join(root || "/", path);
  const smi = findTool("nvidia-smi", root)?.slice(root.length) ?? null;
  const libraries = libraryFolders(root).flatMap((folder) =>
    namesIn(at(folder)).flatMap((name) => (LIBRARY.test(name) ? [`${folder}/${name}`] : [])),
  );
  return [...(smi === null ? [] : [smi]), ...libraries].flatMap((path) => {
    if (root === "" && VISIBLE.some((folder) => isWithin(path, folder))) return [];
    const from = orNull(() => realpathSync(at(path)));
    return from === null ? [] : [{ from, at: path }];
  });
}

/** Where the loader looks besides its own folders, and where NixOS keeps the driver. */
function libraryFolders(root: string): string[] {
  const folder = join(root || "/", "etc/ld.so.conf.d");
  const listed = namesIn(folder)
    .filter((name) => name.endsWith(".conf"))
    .flatMap((name) => (orNull(() => readFileSync(join(folder, name), "utf8")) ?? "").split("\n"))
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line.startsWith("/"))
    .map((line) => posix.normalize(line).replace(/\/+$/, ""));
  return [...new Set([...listed, "/run/opengl-driver/lib"])].filter(
    (path) => path !== "" && !VISIBLE.some((visible) => isWithin(path, visible)),
  );
}

/** The device's folder, through the link by which its place on the bus names it. */
function deviceOf(root: string, bus: string): { at: string; to: string } | null {
  const at = `/sys/bus/pci/devices/${bus}`;
  const link = orNull(() => readlinkSync(join(root || "/", at)));
  const to = link === null ? "" : posix.resolve("/sys/bus/pci/devices", link);
  return isWithin(to, "/sys/devices") ? { at, to } : null;
}

/** Numbers of the nodes that make the parts of a partitioned GPU (MIG) usable. A job is given all parts of its GPU. */
function migNodes(root: string, id: string): number[] {
  const found: number[] = [];
  const walk = (folder: string, depth: number) => {
    for (const entry of orNull(() => readdirSync(folder, { withFileTypes: true })) ?? []) {
      if (found.length >= MOST_CAPABILITIES) return;
      const path = join(folder, entry.name);
      if (entry.isDirectory() && depth < 3) walk(path, depth + 1);
      if (entry.name !== "access") continue;
      const minor = parseCapability(orNull(() => readFileSync(path, "utf8")) ?? "");
      if (minor !== null) found.push(minor);
    }
  };
  walk(join(root || "/", `proc/driver/nvidia/capabilities/gpu${id}/mig`), 0);
  return found;
}

/** Whether the kernel has NVIDIA's driver, so that processes which nothing keeps from it see its GPUs. */
export const isDriverLoaded = (): boolean => existsSync("/proc/driver/nvidia") || existsSync("/dev/nvidiactl");

const namesIn = (folder: string): string[] => (orNull(() => readdirSync(folder)) ?? []).sort();

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null; // what is not there, or may not be read, is not lent
  }
}
