import { ANY_GPU, formatGpu, type GpuRequest, gpusOf, toGpuType } from "../config/gpu.ts";

/** What `nvidia-smi` calls the devices of each type. */
const NAMES: Readonly<Record<string, RegExp>> = {
  T4: /\bT4\b/,
  L4: /\bL4\b/,
  A10: /\bA10G?\b/,
  A10G: /\bA10G?\b/,
  L40S: /\bL40S\b/,
  A100: /\bA100\b/,
  "A100-40GB": /\bA100\b.*\b40GB\b/,
  "A100-80GB": /\bA100\b.*\b80GB\b/,
  "RTX-PRO-6000": /\bRTX PRO 6000\b/,
  H100: /\bH100\b/,
  H200: /\bH200\b/,
  B200: /\bB200\b/,
  "B200+": /\bB[23]00\b/,
  B300: /\bB300\b/,
};

/** Slower models of a type, which are worth a word. */
const VARIANT = /\b(?:NVL|PCIe|MIG)\b/i;

export type DevicesVerdict =
  | { readonly kind: "granted" }
  /** The devices could not be read. */
  | { readonly kind: "unknown" }
  /** Not what was asked for: too few, or another type where exactly one was asked for. */
  | { readonly kind: "refused"; readonly came: string };

/** Whether a sandbox has the GPUs that were asked for. A better type is as good, unless the exact one was asked for (`H100!`). */
export function judgeDevices(asked: GpuRequest, devices: readonly string[]): DevicesVerdict {
  if (devices.length === 0) return { kind: "unknown" };
  const isOther = asked.exact && devices.some((name) => !isOfType(asked.type, name) || /\bMIG\b/.test(name));
  if (isOther || devices.length < asked.count) return { kind: "refused", came: listDevices(devices) };
  return { kind: "granted" };
}

/** "asked H100, got NVIDIA H200"; null where the devices are what was asked for, or not known. */
export function describeOtherDevices(gpu: string | undefined, devices: readonly string[] = []): string | null {
  const [asked] = gpusOf(gpu ?? null);
  if (!asked || devices.length === 0) return null;
  const isAsAsked = devices.every((name) => isOfType(asked.type, name) && !VARIANT.test(name));
  return isAsAsked ? null : `asked ${formatGpu(asked)}, got ${listDevices(devices)}`;
}

/** The note on a job whose GPUs could not be checked. */
export const uncheckedNote = (asked: GpuRequest): string =>
  `Its sandbox does not tell which GPUs it has (nvidia-smi failed), so it could not be checked that they are ${formatGpu(asked)}.`;

/** "7 × NVIDIA H100 80GB HBM3, NVIDIA H200" */
function listDevices(devices: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of devices) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => (count === 1 ? name : `${count} × ${name}`)).join(", ");
}

/** Whether a device of this name is of a type. A better one, such as an `RTX-4070-TI` for an `RTX-4070`, is another type. */
export function isOfType(type: string, name: string): boolean {
  if (type === ANY_GPU) return true;
  const ofModal = NAMES[type];
  if (ofModal) return ofModal.test(name);
  const own = machineType(name);
  if (own === null) return false;
  return own === type || (own.startsWith(`${type}-`) && !BETTER.test(own.slice(type.length)));
}

const BETTER = /^-(?:TI|SUPER)\b/;

/** The type by which a device of this name can be asked for; null where only "any" means it. */
export function machineType(name: string): string | null {
  const ofModal = Object.keys(NAMES)
    .filter((type) => NAMES[type]?.test(name) && name.includes(type.split("-")[0] ?? type))
    .sort((a, b) => b.length - a.length);
  const first = name.split(" ").at(-1)?.split("-")[0] ?? ""; // "Tesla V100-SXM2-16GB", whose type is the beginning
  return ofModal[0] ?? toGpuType(name) ?? toGpuType(withoutSize(name)) ?? toGpuType(first);
}

/** "GH200 480GB" → "GH200" */
const withoutSize = (name: string): string => name.replace(/[\s-]+\d+\s?GB\b.*$/i, "");
