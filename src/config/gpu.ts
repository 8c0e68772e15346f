/**
 * Modal's GPU types, and how many of each one sandbox can have.
 * @source modal.com/docs GPU guide and pricing records, mid-2026; `A10G` is an older name still in use
 */
const GPU_TYPES: Readonly<Record<string, number>> = {
  T4: 8,
  L4: 8,
  A10: 4,
  A10G: 4,
  L40S: 8,
  A100: 8,
  "A100-40GB": 8,
  "A100-80GB": 8,
  "RTX-PRO-6000": 8,
  H100: 8,
  H200: 8,
  B200: 8,
  "B200+": 8,
  B300: 8,
};

/** Any GPU of this machine. Modal has no such type. */
export const ANY_GPU = "any";

/** Types that only machines of users have, besides the families of `WORKSTATION`. */
const DATA_CENTER = /^(?:K80|M40|M60|P4|P40|P100|V100|A2|A16|A30|A40|L20|L40|H20|H800|A800|GH200|GB10|GB200|GB300)$/;
const WORKSTATION = /^(?:RTX|GTX|TITAN|QUADRO)(?:-[A-Z0-9]+){1,4}$/;
/** More than any machine has. */
const MOST_ON_MACHINE = 64;

/** A GPU type and a count. `exact` (`H100!`) forbids the provider to substitute a better type. */
export interface GpuRequest {
  readonly type: string;
  readonly count: number;
  readonly exact: boolean;
  /** It is to be had from this machine, not from a provider elsewhere. */
  readonly onMachine?: boolean;
}

export type ParsedGpu =
  | { readonly kind: "ok"; readonly preferences: readonly GpuRequest[] }
  | { readonly kind: "invalid"; readonly message: string };

const EXAMPLE = 'for example "T4", "A100-80GB", "H100:8", "H100!" or, in order of preference, "H100:8|H200:8"';

/** The canonical name of a GPU type, whatever its case: `h100` → `H100`, "RTX 4090" → `RTX-4090`; null for an unknown type. */
export function toGpuType(name: string): string | null {
  const plain = name
    .trim()
    .toUpperCase()
    .replaceAll(/[\s_]+/g, "-")
    .replace(/^(?:NVIDIA-)?(?:GEFORCE-|TESLA-)?/, "")
    .replace(/^(A100-\d+)G?$/, "$1GB");
  if (Object.hasOwn(GPU_TYPES, plain)) return plain;
  return DATA_CENTER.test(plain) || WORKSTATION.test(plain) ? plain : null;
}

/** Whether Modal has GPUs of this type. */
export const isOfModal = (type: string): boolean => Object.hasOwn(GPU_TYPES, type);

/** All types that Modal has, for messages. */
export const gpuTypeNames = (): string => Object.keys(GPU_TYPES).join(", ");

/** Parses a GPU string in Modal's format. Alternatives are separated by `|`, the preferred one first. Never throws. Other ways to write them are understood: "H100 x 8", "NVIDIA A100 80GB". */
export function parseGpu(text: string): ParsedGpu {
  const preferences: GpuRequest[] = [];
  for (const part of text.split(/[|,]/)) {
    const request = parseOne(part.trim());
    if (typeof request === "string") return { kind: "invalid", message: `${request}; ${EXAMPLE}` };
    preferences.push(request);
  }
  return { kind: "ok", preferences };
}

/** The preferences of a GPU string that the configuration or the task has checked, the first preferred; null has none. */
export function gpusOf(text: string | null): readonly GpuRequest[] {
  if (text === null) return [];
  const parsed = parseGpu(text);
  if (parsed.kind === "invalid") throw new Error(`unchecked GPU string ${text}: ${parsed.message}`);
  return parsed.preferences;
}

/** The canonical string of a request, which `parseGpu` accepts: `H100!:8`. */
export const formatGpu = ({ type, count, exact }: GpuRequest): string =>
  `${type}${exact ? "!" : ""}${count === 1 ? "" : `:${count}`}`;

function parseOne(part: string): GpuRequest | string {
  if (part === "") return "a GPU type is missing";
  const [, name = "", bang, digits] = /^([^:!]+?)(!)?(?:(?::|\s+x\s*)([0-9]+))?$/i.exec(part) ?? [];
  if (name === "") return "not a GPU type with an optional count";
  const type = name.trim().toLowerCase() === ANY_GPU ? ANY_GPU : toGpuType(name);
  if (type === null) return `not a known GPU type (known: ${gpuTypeNames()})`;
  if (bang !== undefined && type !== "H100") return `only H100 can be asked for exactly (H100!), ${type} cannot`;
  const count = digits === undefined ? 1 : Number(digits);
  const most = GPU_TYPES[type] ?? MOST_ON_MACHINE;
  if (count < 1 || count > most) return `a sandbox can have 1 to ${most} GPUs of type ${type}`;
  return { type, count, exact: bang !== undefined };
}
