import type { Environment } from "../config/environment.ts";
import type { SandboxSpec } from "./port.ts";

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
