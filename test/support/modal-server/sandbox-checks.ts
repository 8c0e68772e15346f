import type { Gpu, SandboxDefinition } from "./messages.ts";
import { GPUS } from "./options.ts";
import { refuse } from "./refusal.ts";

/*
 * The fields that the server accepts in a sandbox's definition. Any other field that is set is refused by name, because a
 * test could pass with an ignored field and fail on Modal.
 */

/** Fields that the server implements, and fields without effect here: sizes, regions, and ports that cannot be reached. */
const TAKEN = new Set([
  "entrypointArgs", "imageId", "timeoutSecs", "idleTimeoutSecs", "workdir", "name", "secretIds", "resources", "networkAccess",
  "ptyInfo", "openPorts", "volumeMounts", "cloudBucketMounts", "readinessProbe", "experimentalOptionsV2", "verbose",
  "cloudProviderStr", "schedulerPlacement", "runtime", "inboundCidrAllowlist", "includeOidcIdentityToken",
  "proxyId",
]); // biome-ignore format: a table
const OPTIONS = new Set(["enable_exit_snapshot"]);

const MAX_LIFETIME_SECS = 24 * 3600;

export function checkDefinition(definition: SandboxDefinition | undefined): SandboxDefinition {
  if (!definition) return refuse("INVALID_ARGUMENT", "A sandbox needs a definition");
  for (const [field, value] of Object.entries(definition)) {
    if (!TAKEN.has(field) && isSet(value)) refuse("INVALID_ARGUMENT", `The test server does not support ${field}`);
  }
  for (const option of Object.keys(definition.experimentalOptionsV2)) {
    if (!OPTIONS.has(option))
      refuse("INVALID_ARGUMENT", `The test server does not know the experimental option ${option}`);
  }
  const { timeoutSecs, idleTimeoutSecs, name } = definition;
  if (!(timeoutSecs > 0 && timeoutSecs <= MAX_LIFETIME_SECS))
    refuse("INVALID_ARGUMENT", `timeout must be between 1 second and 24 hours, not ${timeoutSecs} s`);
  if (idleTimeoutSecs !== undefined && idleTimeoutSecs <= 0)
    refuse("INVALID_ARGUMENT", "idle_timeout must be positive");
  if (name !== undefined && !/^[A-Za-z0-9._-]{1,64}$/.test(name))
    refuse("INVALID_ARGUMENT", `Invalid sandbox name ${JSON.stringify(name)}`);
  for (const { mountPath } of [...definition.volumeMounts, ...definition.cloudBucketMounts]) {
    if (!/^\/[^/]/.test(mountPath)) refuse("INVALID_ARGUMENT", `Cannot mount at ${JSON.stringify(mountPath)}`);
  }
  return definition;
}

/** @throws Refusal for an unknown GPU type or an impossible count */
export function gpuOf(config: Gpu | undefined): { type: string; count: number } | null {
  if (!config || (config.count === 0 && config.gpuType === "")) return null;
  const most = GPUS[config.gpuType];
  if (most === undefined)
    return refuse("INVALID_ARGUMENT", `Unknown GPU type: ${config.gpuType}. Known: ${Object.keys(GPUS).join(", ")}`);
  if (config.count < 1 || config.count > most)
    return refuse("INVALID_ARGUMENT", `${config.gpuType} comes in 1 to ${most} per container, not ${config.count}`);
  return { type: config.gpuType, count: config.count };
}

function isSet(value: unknown): boolean {
  if (value === undefined || value === "" || value === 0 || value === false) return false;
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length > 0;
  return typeof value !== "object" || value === null || Object.keys(value).length > 0;
}
