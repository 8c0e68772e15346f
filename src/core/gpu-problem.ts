import { type GpuRequest, gpuTypeNames, isOfModal } from "../config/gpu.ts";
import type { ProviderName } from "../config/provider-names.ts";
import type { MachineReading } from "../sandboxes/machine-gpus.ts";
import { canEverFit, type GpuLimits } from "./admission.ts";
import { describeMachine } from "./machine-pool.ts";

export interface GpuPlace {
  readonly provider: ProviderName;
  readonly machine?: MachineReading | null;
  readonly gpuLimits: GpuLimits;
}

/** Why no job can ever have one of these GPUs here; null = it can, at least one of them. @param text as they were asked for */
export function gpuProblem(text: string, gpus: readonly GpuRequest[], place: GpuPlace): string | null {
  const { provider, gpuLimits } = place;
  if (provider === "local") return machineProblem(text, gpus, place);
  const foreign = gpus.find(({ type }) => !isOfModal(type));
  if (foreign)
    return `gpu "${text}": Modal has no ${foreign.type}, which only machines of your own have; known: ${gpuTypeNames()}.`;
  return canEverFit(gpus, gpuLimits) ? null : overLimits(text, gpuLimits);
}

function machineProblem(text: string, gpus: readonly GpuRequest[], { machine, gpuLimits }: GpuPlace): string | null {
  const there = machine?.gpus ?? [];
  if (there.length === 0) {
    const why = machine?.why ?? "this machine was not asked for its GPUs";
    return `gpu "${text}" cannot be had: jobs run in local sandboxes here, which have no GPUs, because ${why}. Leave gpu out, or set up Modal credentials to run jobs on Modal.`;
  }
  const wanted = gpus.map((gpu) => ({ ...gpu, onMachine: true }));
  if (canEverFit(wanted, gpuLimits, there)) return null;
  const unlimited = { total: Number.POSITIVE_INFINITY };
  if (canEverFit(wanted, unlimited, there)) return overLimits(text, gpuLimits);
  const rest = machine?.why ? ` (${machine.why})` : "";
  return `gpu "${text}" cannot be had: jobs run in local sandboxes here, and this machine has ${describeMachine(there)} for them${rest}. Ask for those, for "any", or leave gpu out.`;
}

const overLimits = (text: string, limits: GpuLimits): string =>
  `gpu "${text}" is more than gpuLimits allows (${JSON.stringify(limits)}); ask for fewer, or raise the limit.`;
