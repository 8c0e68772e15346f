import type { Environment } from "../config/environment.ts";
import { isZone } from "../config/time-zone.ts";
import type { MachineSpec, SandboxSpec } from "./port.ts";

const MINUTE_MS = 60_000;

/**
 * The spec of a sandbox in an environment.
 * @param hostEnv the host's variables; only those that the environment's `hostEnv` names are copied
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

/**
 * The variables of an environment's sandboxes. The environment's own override those copied from the host. Times are the
 * user's, as in his own terminal; where a sandbox lacks data about time zones, they are in UTC.
 */
export function toSandboxEnv(
  environment: Environment,
  hostEnv: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const copied = environment.hostEnv.flatMap((name) => {
    const value = hostEnv[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const zone = isZone(hostEnv.TZ) ? { TZ: hostEnv.TZ } : {};
  return { ...zone, ...Object.fromEntries(copied), ...environment.env };
}

/** The machine of an environment, without a GPU: which of its GPU preferences is asked for is decided per creation. */
export function toMachineSpec(environment: Environment): MachineSpec {
  const {
    image,
    imageSecret,
    cloud,
    proxy,
    runtime,
    cpu,
    cpuLimit,
    memoryLimitMiB,
    secrets,
    volumes,
    buckets,
    ports,
    regions,
    sandboxTimeoutMinutes,
  } = environment;
  return {
    image,
    imageSecret,
    gpu: null,
    cpu,
    cpuLimit,
    memoryLimitMiB,
    secrets,
    volumes,
    buckets,
    ports,
    regions,
    cloud,
    proxy,
    runtime,
    lifetimeMs: sandboxTimeoutMinutes === null ? null : sandboxTimeoutMinutes * MINUTE_MS,
    idleTimeoutMs: environment.idleTimeoutMinutes * MINUTE_MS,
  };
}
