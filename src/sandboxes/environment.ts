import type { Environment } from "../config/environment.ts";
import { type GpuRequest, parseGpu } from "../config/gpu.ts";
import type { MachineSpec, SandboxSpec } from "./port.ts";

const MINUTE_MS = 60_000;

/**
 * What a provider is asked for, from an environment's recipe.
 * @param hostEnv the host's variables, of which only those named in `hostEnv` of the environment are copied
 */
export function toSandboxSpec(
  environment: Environment,
  hostEnv: Readonly<Record<string, string | undefined>>,
  identity: {
    readonly name: string;
    readonly tags: Readonly<Record<string, string>>;
    readonly snapshotID: string | null;
  },
): SandboxSpec {
  return {
    ...identity,
    workdir: environment.workdir,
    env: toSandboxEnv(environment, hostEnv),
    memoryMiB: environment.memoryMiB ?? null,
    network: environment.network,
    machine: toMachineSpec(environment),
  };
}

/** The variables of an environment's sandboxes; its own win over the host's. */
export function toSandboxEnv(
  environment: Environment,
  hostEnv: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const copied = environment.hostEnv.flatMap((name) => {
    const value = hostEnv[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(copied), ...environment.env };
}

/** What the environment itself says; a job may put its own GPUs and its own lifetime in place of it. */
export function toMachineSpec(environment: Environment): MachineSpec {
  const { image, cpu, secrets, volumes, buckets, ports, regions, sandboxTimeoutMinutes } = environment;
  return {
    image,
    gpus: gpusOf(environment.gpu),
    cpu,
    secrets,
    volumes,
    buckets,
    ports,
    regions,
    lifetimeMs: sandboxTimeoutMinutes === null ? null : sandboxTimeoutMinutes * MINUTE_MS,
    idleTimeoutMs: environment.idleTimeoutMinutes * MINUTE_MS,
  };
}

/** A GPU string that the configuration or the task has checked. */
export function gpusOf(text: string | null): readonly GpuRequest[] {
  if (text === null) return [];
  const parsed = parseGpu(text);
  if (parsed.kind === "invalid") throw new Error(`unchecked GPU string ${text}: ${parsed.message}`);
  return parsed.preferences;
}
