import type { CloudBucketMount, ModalClient, SandboxCreateParams, Secret, Volume } from "modal";
import { formatGpu } from "../../config/gpu.ts";
import { DEFAULT_CPU, DEFAULT_MEMORY_MIB } from "../../config/prices.ts";
import type { MachineSpec, NetworkPolicy, SandboxSpec } from "../port.ts";
import { toLifetimeMs, wholeSecondsMs } from "./durations.ts";

const DEFAULT_LIFETIME_MS = 5 * 60 * 60_000;
const DEFAULT_IDLE_MS = 20 * 60_000;

/** Kept in the sandbox itself, so that whoever attaches to it knows where its commands start. */
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

/** What a sandbox is given by name and the SDK wants as objects. */
export interface Mounts {
  readonly secrets: readonly Secret[];
  readonly volumes: Readonly<Record<string, Volume>>;
  readonly buckets: Readonly<Record<string, CloudBucketMount>>;
}

export const lifetimeOf = (machine: MachineSpec): number => toLifetimeMs(machine.lifetimeMs ?? DEFAULT_LIFETIME_MS);

/** Everything the server needs to end and to find the sandbox without us is in its creation: times, name and tags. */
export function toCreateParams(spec: SandboxSpec, mounts: Mounts): SandboxCreateParams {
  const machine = spec.machine ?? DEFAULT_MACHINE;
  return {
    name: spec.name,
    tags: { ...spec.tags },
    timeoutMs: lifetimeOf(machine),
    idleTimeoutMs: Math.min(wholeSecondsMs(machine.idleTimeoutMs ?? DEFAULT_IDLE_MS), lifetimeOf(machine)),
    cpu: machine.cpu ?? DEFAULT_CPU,
    memoryMiB: spec.memoryMiB ?? DEFAULT_MEMORY_MIB,
    // The variables of the spec go with each command: they may be secrets, and are kept nowhere.
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

/** Both lists always, when there is one: an absent list allows everything of its kind, an empty one nothing. */
export function toNetworkParams(
  network: NetworkPolicy,
): Pick<SandboxCreateParams, "blockNetwork" | "outboundCidrAllowlist" | "outboundDomainAllowlist"> {
  if (network === "open") return {};
  if (network === "blocked" || (network.domains.length === 0 && network.cidrs.length === 0))
    return { blockNetwork: true };
  return { outboundDomainAllowlist: [...network.domains], outboundCidrAllowlist: [...network.cidrs] };
}

/** Looks up, side by side, what the machine names. Rejects with what the SDK throws; `missing` says what to do then. */
export async function findMounts(client: ModalClient, machine: MachineSpec): Promise<Mounts> {
  const secret = (name: string) => client.secrets.fromName(name);
  const [secrets, volumes, buckets] = await Promise.all([
    Promise.all(machine.secrets.map(secret)),
    Promise.all(
      Object.entries(machine.volumes).map(
        async ([path, name]) => [path, await client.volumes.fromName(name, { createIfMissing: true })] as const,
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

export function missingMounts(machine: MachineSpec): string {
  const secrets = [...machine.secrets, ...Object.values(machine.buckets).flatMap(({ secret }) => secret ?? [])];
  return `A Modal secret of the environment does not exist (${secrets.join(", ")}): check the names with "modal secret list", or run "modal secret create".`;
}
