import type { CloudBucketMount, ModalClient, SandboxCreateParams, Secret, Volume } from "modal";
import { formatGpu } from "../../config/gpu.ts";
import { DEFAULT_CPU, DEFAULT_MEMORY_MIB } from "../../config/prices.ts";
import { PluginError } from "../../shared/error-code.ts";
import { inQuotes, plainName } from "../../shared/plain-text.ts";
import type { MachineSpec, NetworkPolicy, SandboxSpec } from "../port.ts";
import { toLifetimeMs, wholeSecondsMs } from "./durations.ts";
import { kindOf } from "./modal-error.ts";

const DEFAULT_LIFETIME_MS = 5 * 60 * 60_000;
const DEFAULT_IDLE_MS = 20 * 60_000;

/**
 * The main process. Without a command an image's own program would run, with which the sandbox ends.
 * `infinity` is known to the `sleep` of coreutils, BusyBox and uutils.
 */
const MAIN_PROCESS = ["sleep", "infinity"];

/** A variable of the sandbox itself, so that another process that attaches to it learns where commands start. */
export const WORKDIR_VARIABLE = "PARALLEL_AGENTS_WORKDIR";

/** The machine of a spec that names none. */
export const DEFAULT_MACHINE: MachineSpec = {
  image: null,
  gpu: null,
  cpu: null,
  secrets: [],
  volumes: {},
  buckets: {},
  ports: [],
  regions: [],
  lifetimeMs: null,
  idleTimeoutMs: null,
};

/** What the spec names and the SDK takes as objects. */
export interface Mounts {
  readonly secrets: readonly Secret[];
  readonly volumes: Readonly<Record<string, Volume>>;
  readonly buckets: Readonly<Record<string, CloudBucketMount>>;
}

/** Time after which Modal ends the sandbox, milliseconds; `MAX_LIFETIME_MS` at most. */
export const lifetimeOf = (machine: MachineSpec): number => toLifetimeMs(machine.lifetimeMs ?? DEFAULT_LIFETIME_MS);

/**
 * The SDK's parameters for a sandbox. They contain all that Modal needs to end the sandbox, and we need to find it, if this
 * process dies: time limits, name and tags.
 * @source Modal JS SDK 0.11.1, SandboxCreateParams: times in milliseconds but whole seconds, memory in MiB
 */
export function toCreateParams(spec: SandboxSpec, mounts: Mounts): SandboxCreateParams {
  const machine = spec.machine ?? DEFAULT_MACHINE;
  return {
    name: spec.name,
    tags: { ...spec.tags },
    command: [...MAIN_PROCESS],
    timeoutMs: lifetimeOf(machine),
    idleTimeoutMs: Math.min(wholeSecondsMs(machine.idleTimeoutMs ?? DEFAULT_IDLE_MS), lifetimeOf(machine)),
    cpu: machine.cpu ?? DEFAULT_CPU,
    memoryMiB: spec.memoryMiB ?? DEFAULT_MEMORY_MIB,
    // The spec's variables are passed with each command instead, because they may be secrets and Modal would store them.
    env: { [WORKDIR_VARIABLE]: spec.workdir },
    ...(machine.gpu && { gpu: formatGpu(machine.gpu) }),
    ...(mounts.secrets.length > 0 && { secrets: [...mounts.secrets] }),
    ...(Object.keys(mounts.volumes).length > 0 && { volumes: { ...mounts.volumes } }),
    ...(Object.keys(mounts.buckets).length > 0 && { cloudBucketMounts: { ...mounts.buckets } }),
    ...(machine.ports.length > 0 && { encryptedPorts: [...machine.ports] }),
    ...(machine.regions.length > 0 && { regions: [...machine.regions] }),
    ...toNetworkParams(spec.network),
  };
}

/**
 * The network parameters of a sandbox. Passes both lists or neither, because an absent list allows everything of its kind
 * and an empty one nothing.
 * @source Modal JS SDK 0.11.1, SandboxCreateParams
 */
export function toNetworkParams(
  network: NetworkPolicy,
): Pick<SandboxCreateParams, "blockNetwork" | "outboundCidrAllowlist" | "outboundDomainAllowlist"> {
  if (network === "open") return {};
  if (network === "blocked" || (network.domains.length === 0 && network.cidrs.length === 0))
    return { blockNetwork: true };
  return { outboundDomainAllowlist: [...network.domains], outboundCidrAllowlist: [...network.cidrs] };
}

/**
 * Looks up the secrets, volumes and buckets that the machine names, in parallel.
 * @throws PluginError `sandbox_create_failed` for a missing volume; what the SDK throws, where `missingMounts` is the message
 * for a missing secret
 */
export async function findMounts(client: ModalClient, machine: MachineSpec): Promise<Mounts> {
  const secret = (name: string) => client.secrets.fromName(name);
  const [secrets, volumes, buckets] = await Promise.all([
    Promise.all(machine.secrets.map(secret)),
    Promise.all(
      Object.entries(machine.volumes).map(
        async ([path, name]) => [path, await findVolume(client, path, name)] as const,
      ),
    ),
    Promise.all(
      Object.entries(machine.buckets).map(async ([path, bucket]) => {
        const params = {
          readOnly: bucket.readOnly,
          ...(bucket.secret !== null && { secret: await secret(bucket.secret) }),
          ...(bucket.endpointUrl !== null && { bucketEndpointUrl: bucket.endpointUrl }),
          ...(bucket.keyPrefix !== null && {
            keyPrefix: bucket.keyPrefix.endsWith("/") ? bucket.keyPrefix : `${bucket.keyPrefix}/`,
          }),
        };
        return [path, client.cloudBucketMounts.create(bucket.bucket, params)] as const;
      }),
    ),
  ]);
  return { secrets, volumes: Object.fromEntries(volumes), buckets: Object.fromEntries(buckets) };
}

/** A misspelt name must not become a new, empty volume. */
async function findVolume(client: ModalClient, path: string, name: string): Promise<Volume> {
  try {
    return await client.volumes.fromName(name);
  } catch (error) {
    if (kindOf(error) !== "gone") throw error;
    throw new PluginError(
      "sandbox_create_failed",
      `The Modal volume ${inQuotes(name)}, which the environment mounts at ${path}, does not exist: check its name with "modal volume list", or make it with "modal volume create ${plainName(name)}".`,
      { cause: error, retryable: false },
    );
  }
}

/** What to do about a secret that does not exist. */
export function missingMounts(machine: MachineSpec): string {
  const secrets = [...machine.secrets, ...Object.values(machine.buckets).flatMap(({ secret }) => secret ?? [])];
  return `A Modal secret of the environment does not exist (${secrets.join(", ")}): check the names with "modal secret list", or run "modal secret create".`;
}
