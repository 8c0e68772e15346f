import type { SandboxCreateParams } from "modal";
import { formatGpu } from "../../config/gpu.ts";
import { resourcesOf } from "../../config/resources.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { MachineSpec, NetworkPolicy, SandboxSpec } from "../port.ts";
import { toLifetimeMs, wholeSecondsMs } from "./durations.ts";
import type { Mounts } from "./mounts.ts";

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
  imageSecret: null,
  gpu: null,
  cpu: null,
  cpuLimit: null,
  memoryLimitMiB: null,
  secrets: [],
  volumes: {},
  buckets: {},
  ports: [],
  regions: [],
  cloud: null,
  proxy: null,
  runtime: null,
  lifetimeMs: null,
  idleTimeoutMs: null,
};

/** Time after which Modal ends the sandbox, milliseconds; `MAX_LIFETIME_MS` at most. */
export const lifetimeOf = (machine: MachineSpec): number => toLifetimeMs(machine.lifetimeMs ?? DEFAULT_LIFETIME_MS);

/**
 * The SDK's parameters for a sandbox. They contain all that Modal needs to end the sandbox, and we need to find it, if this
 * process dies: time limits, name and tags.
 * @source Modal JS SDK 0.11.1, SandboxCreateParams: times in milliseconds but whole seconds, memory in MiB
 */
export function toCreateParams(spec: SandboxSpec, mounts: Omit<Mounts, "notes">): SandboxCreateParams {
  const machine = spec.machine ?? DEFAULT_MACHINE;
  return {
    name: spec.name,
    tags: { ...spec.tags, ...spec.moreTags },
    command: [...MAIN_PROCESS],
    // Where an image starts may be in a volume, which is not reloaded while a process stands in it.
    workdir: "/",
    timeoutMs: lifetimeOf(machine),
    idleTimeoutMs: Math.min(wholeSecondsMs(machine.idleTimeoutMs ?? DEFAULT_IDLE_MS), lifetimeOf(machine)),
    ...resourcesOf({ ...machine, memoryMiB: spec.memoryMiB }, machine.gpu),
    // The spec's variables are passed with each command instead, because they may be secrets and Modal would store them.
    env: { [WORKDIR_VARIABLE]: spec.workdir },
    ...(machine.gpu && { gpu: formatGpu(machine.gpu) }),
    ...(mounts.secrets.length > 0 && { secrets: [...mounts.secrets] }),
    ...(Object.keys(mounts.volumes).length > 0 && { volumes: { ...mounts.volumes } }),
    ...(Object.keys(mounts.buckets).length > 0 && { cloudBucketMounts: { ...mounts.buckets } }),
    ...(machine.ports.length > 0 && { encryptedPorts: [...machine.ports] }),
    ...(machine.regions.length > 0 && { regions: [...machine.regions] }),
    ...(machine.cloud !== null && { cloud: machine.cloud }),
    ...(mounts.proxy && { proxy: mounts.proxy }),
    ...(machine.runtime !== null && { runtime: machine.runtime }),
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

const NAME = /^[A-Za-z0-9._-]{1,64}$/;

/** @throws PluginError `sandbox_create_failed` for a name that Modal does not accept */
export function requireName(name: string): void {
  if (NAME.test(name)) return;
  const message = `Modal cannot name a sandbox "${name}": at most 64 letters, digits, ".", "_" and "-".`;
  throw new PluginError("sandbox_create_failed", message, { retryable: false });
}
