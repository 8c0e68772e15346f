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

/** A GPU type and a count. `exact` (`H100!`) forbids the provider to substitute a better type. */
export interface GpuRequest {
  readonly type: string;
  readonly count: number;
  readonly exact: boolean;
}

export type ParsedGpu =
  | { readonly kind: "ok"; readonly preferences: readonly GpuRequest[] }
  | { readonly kind: "invalid"; readonly message: string };

const EXAMPLE = 'for example "T4", "A100-80GB", "H100:8", "H100!" or, in order of preference, "H100:8|H200:8"';

/** The canonical name of a GPU type, whatever its case: `h100` → `H100`; null for an unknown type. */
export function toGpuType(name: string): string | null {
  const upper = name.trim().toUpperCase();
  return Object.hasOwn(GPU_TYPES, upper) ? upper : null;
}

/** All known types, for messages. */
export const gpuTypeNames = (): string => Object.keys(GPU_TYPES).join(", ");

/** Parses a GPU string in Modal's format. Alternatives are separated by `|`, the preferred one first. Never throws. */
export function parseGpu(text: string): ParsedGpu {
  const preferences: GpuRequest[] = [];
  for (const part of text.split("|")) {
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
  const [, name = "", bang, digits] = /^([^:!]+)(!)?(?::([0-9]+))?$/.exec(part) ?? [];
  if (name === "") return "not a GPU type with an optional count";
  const type = toGpuType(name);
  if (type === null) return `not a known GPU type (known: ${gpuTypeNames()})`;
  if (bang !== undefined && type !== "H100") return `only H100 can be asked for exactly (H100!), ${type} cannot`;
  const count = digits === undefined ? 1 : Number(digits);
  const most = GPU_TYPES[type] ?? 1;
  if (count < 1 || count > most) return `a sandbox can have 1 to ${most} GPUs of type ${type}`;
  return { type, count, exact: bang !== undefined };
}
