import type { GpuRequest } from "../../config/gpu.ts";
import type { SandboxGpu } from "../port.ts";
import { type LocalGpus, lendFrom } from "./gpus/machine-gpus.ts";
import type { DirsInMaking, Isolation, IsolationBackend, IsolationPlan } from "./isolation.ts";
import { type SandboxMeta, sandboxDirs } from "./layout.ts";
import { type LocalLimits, resourceLimits } from "./local-limits.ts";

interface OpenDeps {
  readonly rootDir: string;
  readonly gpus?: Pick<LocalGpus, "lend">;
  readonly limits?: Partial<LocalLimits>;
}

interface GrantedGpus {
  /** null when an earlier process made the sandbox. */
  readonly request: GpuRequest | null;
  /** Ids of `MachineGpu`. */
  readonly devices: readonly string[];
}

/** The isolation of a sandbox, with what it was planned from. */
export interface Opened {
  readonly plan: IsolationPlan;
  readonly isolation: Isolation;
  readonly gpu: SandboxGpu | null;
}

/** Isolates a sandbox by its record. @param making null = its directory is complete */
export async function openSandbox(
  { rootDir, gpus, limits }: OpenDeps,
  backend: IsolationBackend,
  meta: SandboxMeta,
  env: Readonly<Record<string, string>>,
  granted: GrantedGpus,
  making: DirsInMaking | null,
): Promise<Opened> {
  const given = granted.devices.length === 0 ? null : await lendFrom(gpus, granted.devices);
  const plan: IsolationPlan = {
    id: meta.id,
    dirs: sandboxDirs(rootDir, meta.id),
    making,
    workdir: meta.workdir,
    env,
    network: meta.network === "open" ? "open" : "blocked",
    limits: resourceLimits(meta, limits),
    gpus: given?.lent ?? null,
  };
  const gpu = given && { granted: granted.request, devices: given.names };
  return { plan, gpu, isolation: await backend.open(plan) };
}
