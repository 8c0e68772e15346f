/*
 * What NVIDIA's driver says of its GPUs: one file for each in /proc/driver/nvidia/gpus, or the lines of nvidia-smi. Both are
 * made by a driver of any version, so a line that is missing or strange costs what it would have told, and no more.
 */

/** One GPU, as far as the driver tells. */
export interface DriverGpu {
  /** The number of its device node, /dev/nvidia<minor>; null = not told. */
  readonly minor: number | null;
  /** null = not told. */
  readonly name: string | null;
  /** "GPU-8f0e…"; null = not told. */
  readonly uuid: string | null;
  /** Its place on the PCI bus, "0000:04:00.0"; null = not told. */
  readonly bus: string | null;
  /** Whether the administrator has excluded it from use. */
  readonly isExcluded: boolean;
}

const MOST_CHARS = 200;

/** Reads the file `information` of a GPU. */
export function parseInformation(text: string): DriverGpu {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, key = "", value = ""] = /^([^:]+):\s*(.*?)\s*$/.exec(line) ?? [];
    if (key !== "" && !fields.has(key.trim())) fields.set(key.trim(), value.slice(0, MOST_CHARS));
  }
  return {
    minor: toMinor(fields.get("Device Minor")),
    name: toName(fields.get("Model")),
    uuid: toUuid(fields.get("GPU UUID")),
    bus: toBus(fields.get("Bus Location")),
    isExcluded: /^yes$/i.test(fields.get("GPU Excluded") ?? fields.get("GPU Blacklisted") ?? ""),
  };
}

/** What `nvidia-smi` is asked for. */
export const SMI_ARGS = ["--query-gpu=name,uuid,pci.bus_id", "--format=csv,noheader"] as const;

/** Reads its answer; lines that are not of this form, such as errors, are left out. */
export function parseSmi(text: string): DriverGpu[] {
  return text.split("\n").flatMap((line): DriverGpu[] => {
    const [name, uuid, bus, ...others] = line.split(",").map((part) => part.trim().slice(0, MOST_CHARS));
    if (name === undefined || bus === undefined || others.length > 0) return [];
    const gpu = { minor: null, name: toName(name), uuid: toUuid(uuid), bus: toBus(bus), isExcluded: false };
    return gpu.bus === null && gpu.uuid === null ? [] : [gpu];
  });
}

/** The numbers of the device nodes that make the parts of a GPU usable (MIG), from a file of /proc/driver/nvidia/capabilities. */
export function parseCapability(text: string): number | null {
  return toMinor(/^DeviceFileMinor:\s*(.*?)\s*$/m.exec(text)?.[1]);
}

const toMinor = (text: string | undefined): number | null =>
  text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : null;

/** A GPU that is asleep, or not initialised yet, is "Unknown". */
const toName = (text: string | undefined): string | null =>
  text === undefined || text === "" || /^(?:unknown|n\/a|\[.*\])$/i.test(text) ? null : text;

const toUuid = (text: string | undefined): string | null =>
  text !== undefined && /^GPU-[0-9a-f-]{8,64}$/i.test(text) ? text : null;

/** nvidia-smi writes eight digits of the domain, the files four. */
function toBus(text: string | undefined): string | null {
  const [, domain, rest] = /^([0-9a-f]{4,8}):([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$/i.exec(text ?? "") ?? [];
  return domain === undefined ? null : `${domain.slice(-4)}:${rest}`.toLowerCase();
}
