import type { Environment } from "../config/environment.ts";
import type { GpuRequest } from "../config/gpu.ts";
import type { ProviderName } from "../config/provider-names.ts";
import type { Failure } from "../shared/error-code.ts";
import type { ExecRequest, SandboxProcess } from "./command.ts";
import type { StepListener } from "./creation-steps.ts";
import type { LentPaths } from "./lent-paths.ts";
import type {
  SandboxGpu,
  SandboxMemory,
  SandboxNetwork,
  SandboxPort,
  SandboxProcessLimit,
  SandboxUsage,
} from "./sandbox-facts.ts";

export {
  type ExecRequest,
  type ExitStatus,
  FileError,
  type FileErrorCode,
  type OutputChunk,
  SANDBOX_SIGNALS,
  type SandboxProcess,
  type SandboxSignal,
} from "./command.ts";
export type {
  SandboxGpu,
  SandboxMemory,
  SandboxNetwork,
  SandboxPort,
  SandboxProcessLimit,
  SandboxUsage,
} from "./sandbox-facts.ts";

/*
 * The port that every sandbox provider implements. What every provider must do is required; what only some can do is behind
 * a nullable property. Failures of the outside world reject with `PluginError` (codes of the contract) or `FileError`; a
 * command's non-zero exit is a value. Every call ends in bounded time, whatever the processes of a sandbox do: a call that
 * needs their help gives up waiting for it. Nothing here knows about jobs or OpenCode.
 */

/** The network of a sandbox. An object lists the domains and CIDRs that it may reach. */
export type NetworkPolicy =
  | "open"
  | "blocked"
  | { readonly domains: readonly string[]; readonly cidrs: readonly string[] };

export interface SandboxSpec {
  /** What to name it after, such as a job's id. A provider whose names must be unique adds to one that is still held. */
  readonly name: string;
  /** Whose sandbox it is, for listing and garbage collection. */
  readonly tags: Readonly<Record<string, string>>;
  /** Tags that say more of it, and may change from one creation to the next; absent = none. */
  readonly moreTags?: Readonly<Record<string, string>>;
  /** Id of the snapshot to start from; null starts from the environment's image. */
  readonly snapshotID: string | null;
  /** Absolute path in the sandbox. */
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  /** null = the provider's default. */
  readonly memoryMiB: number | null;
  readonly network: NetworkPolicy;
  /**
   * Told of a sandbox with these tags that nobody got and that has been ended: one of this name that was in the way, because the
   * process that had it made has died or the reply was lost, or the new one, where something failed after it had booted or nobody
   * waited for it any more. Absent = nobody wants to know.
   */
  readonly onLeftEnded?: (left: ListedSandbox) => void;
  /** Whether `SnapshotStore.ofLost` is to have its files when it ends by itself; absent = no. */
  readonly keepsLastFiles?: boolean;
  /** Whether a command without input follows at once, so that a provider may prepare for it; absent = no. */
  readonly commandFollows?: boolean;
  /** The machine to run on; absent = the provider's defaults. A provider refuses a machine that it cannot provide. */
  readonly machine?: MachineSpec;
}

export interface MachineSpec {
  /** null = the provider's default. Ignored when the sandbox starts from a snapshot of a whole file system. */
  readonly image: Environment["image"];
  /** Secret with which the image is pulled; null = it is public. */
  readonly imageSecret: string | null;
  /** The one GPU request to grant, or to refuse with `no_capacity`; null = no GPU. A caller with alternatives asks again. */
  readonly gpu: GpuRequest | null;
  /** Which GPUs of this machine these are, by the ids of `MachineGpu`; absent = the provider chooses them. */
  readonly devices?: readonly string[];
  /** Longest wait for that GPU, milliseconds; absent = the provider's default. */
  readonly gpuWaitMs?: number;
  /** Physical cores; null = the provider's default. */
  readonly cpu: number | null;
  /** Most cores that it may use; null = the provider's default. */
  readonly cpuLimit: number | null;
  /** Most memory that it may use; null = the provider's default. */
  readonly memoryLimitMiB: number | null;
  readonly secrets: readonly string[];
  readonly volumes: Environment["volumes"];
  readonly buckets: Environment["buckets"];
  /** Ports of the sandbox that get a tunnel, so that they can be reached from outside. */
  readonly ports: readonly number[];
  /** Empty = any. */
  readonly regions: readonly string[];
  /** null = any. */
  readonly cloud: string | null;
  /** Proxy through which it reaches the internet; null = none. */
  readonly proxy: string | null;
  /** null = the provider's choice. */
  readonly runtime: Environment["runtime"];
  /** Time after which the provider itself ends the sandbox, even if this process has died; null = its default. */
  readonly lifetimeMs: number | null;
  /** Time without activity after which the provider itself ends the sandbox; null = its default. */
  readonly idleTimeoutMs: number | null;
}

/** Prices of the provider's account, USD per hour; what it does not name is left out. */
export interface AccountPrices {
  /** By type. */
  readonly gpus: Readonly<Record<string, number>>;
  readonly cpuCore?: number;
  readonly memoryGiB?: number;
}

/** A sandbox in a provider's listing. */
export interface ListedSandbox {
  readonly id: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Epoch ms; null when the provider does not say. */
  readonly createdAt: number | null;
  /** Since when it costs money, epoch ms; absent or null = it does not, or not yet. */
  readonly billedSince?: number | null | undefined;
}

/** Absolute paths in a sandbox. */
export interface Place {
  readonly workdir: string;
  /** null = its image says. */
  readonly home: string | null;
}

export interface SandboxProvider {
  readonly name: ProviderName;
  /**
   * Creates a sandbox, which may take minutes. When `signal` aborts, rejects promptly; a sandbox that arrives later is ended.
   * @param onStep told what the creation waits for, where the provider knows
   * @throws PluginError `sandbox_create_failed`, `sandbox_create_timeout`, `no_capacity`, `isolation_unavailable`,
   * `snapshot_expired`, `not_found` (unknown snapshot), `cancelled`
   */
  create(spec: SandboxSpec, signal?: AbortSignal, onStep?: StepListener): Promise<Sandbox>;
  /**
   * Finds a sandbox by id, also one that an earlier process created. Its files are unchanged; its processes may be gone.
   * @param env the variables of its spec, passed again because they are never written to disk
   * @param devices GPUs of this machine that it is given now; absent = those it has
   * @throws PluginError `sandbox_lost`: not retryable when it no longer exists, retryable when that could not be determined
   */
  attach(sandboxID: string, env: Readonly<Record<string, string>>, devices?: readonly string[]): Promise<Sandbox>;
  /**
   * Ends a sandbox by id, attached or not, and deletes its files. Resolves when that is certain to happen; `Sandbox.ended`
   * says when it has. No-op for an unknown id.
   */
  terminate(sandboxID: string): Promise<void>;
  /** The sandboxes that exist, for garbage collection. */
  list(): Promise<readonly ListedSandbox[]>;
  /**
   * Whether a sandbox that `list` does not name has ended; null = the account does not know it, which may be another one than
   * it was made with. null in place of the function: `list` names every one that exists.
   */
  readonly hasEnded: ((sandboxID: string) => Promise<boolean | null>) | null;
  /** Where the folders of a sandbox with this working directory will be. null = only the sandbox itself tells. */
  readonly place: ((workdir: string) => Place) | null;
  /** null = the provider cannot take snapshots. */
  readonly snapshots: SnapshotStore | null;
  /** Which files of this machine its sandboxes can read besides the job's own; null where they run elsewhere. */
  readonly lent: (() => Promise<LentPaths>) | null;
  /** What the user's account pays for sandboxes; resolves with null when the provider does not say. null = they cost nothing. */
  readonly prices: (() => Promise<AccountPrices | null>) | null;
  /** Releases what this process holds. Sandboxes outlive the process where they can; their files always do. */
  close(): Promise<void>;
}

export interface TakenSnapshot {
  readonly id: string;
  /** null when the provider does not say. */
  readonly sizeBytes: number | null;
  /** Inodes that it uses; null when the provider does not say. */
  readonly files: number | null;
  /** What the snapshot does not contain, one sentence each. */
  readonly leftOut: readonly string[];
  /** Epoch ms at which the provider deletes it; null = never. */
  readonly expiresAt: number | null;
  /** The directory that it contains, if it was not asked for by its path; absent = it is the whole file system. */
  readonly path?: string;
}

/** What a job's snapshots use together. */
export interface SnapshotUsage {
  readonly count: number;
  readonly bytes: number;
  /** Inodes. */
  readonly files: number;
}

export interface RetireListener {
  /** The sandbox is about to be ended. */
  ending(): void;
  /**
   * Nothing can change the files any more, and they are about to become the snapshot. Whoever comes later finds them under
   * the one name or the other: `ofLost` gives the snapshot of a sandbox whose process died in between.
   */
  keeping(taken: TakenSnapshot): void;
}

export interface SnapshotStore {
  /** Whether what was made from this snapshot may need it, so that it is to be removed last. */
  derives(snapshotID: string): boolean;
  /**
   * Saves the files of a live sandbox; processes and memory are not saved. Files that cannot be saved are named.
   * @param path the directory to save, absolute or relative to the workdir; null = the whole file system
   * @param used what the job's snapshots use already: on the user's own disk they have a quota. null = the job did not ask
   * for this snapshot, so its quota does not count
   * @throws PluginError `snapshot_failed`, `sandbox_lost`
   */
  take(sandbox: Sandbox, path: string | null, used?: SnapshotUsage | null): Promise<TakenSnapshot>;
  /** Saves what its job needs to go on in another sandbox, as the user's options say. @throws PluginError as `take` does */
  keep(sandbox: Sandbox): Promise<TakenSnapshot>;
  /**
   * Ends a sandbox and makes its own files a snapshot, which spares the copy. null = this provider, or this sandbox, cannot:
   * nothing was done to it.
   * @throws PluginError `snapshot_failed`, `sandbox_lost`; the sandbox may have ended by then, and can be attached again
   */
  retire(sandbox: Sandbox, on: RetireListener): Promise<TakenSnapshot | null>;
  /**
   * The files of a sandbox that has ended by itself, as they were then; waits until they are there. null = the provider has
   * none and will have none: it was not asked to keep them, or could not.
   * @throws PluginError `snapshot_failed`
   */
  ofLost(sandboxID: string): Promise<TakenSnapshot | null>;
  /** Freezes a running sandbox of others; null = there are none. @throws PluginError `not_found`, `snapshot_failed` */
  readonly freeze: ((id: string, isRefused: (tags: SandboxSpec["tags"]) => boolean) => Promise<TakenSnapshot>) | null;
  /** Deletes a snapshot. Idempotent. */
  remove(snapshotID: string): Promise<void>;
  /** Snapshots of processes that have ended since, maybe before they recorded them. Empty where snapshots expire. */
  orphans(): Promise<readonly { readonly id: string; readonly createdAt: number }[]>;
}

export interface Sandbox {
  readonly id: string;
  /** Absolute path, inside the sandbox, of the directory commands start in. */
  readonly workdir: string;
  /** Absolute path, inside the sandbox, of the agent's home directory. */
  readonly home: string;
  /** What the job should know about this machine, one sentence each: "No network: neither pasta nor slirp4netns is installed." */
  readonly notes: readonly string[];
  /** null = none. */
  readonly gpu: SandboxGpu | null;
  /** When this process was told that the sandbox has a machine, from which on it costs money, epoch ms; null = not known. */
  readonly billedSince: number | null;
  readonly ports: readonly SandboxPort[];
  /** null = the provider does not say. */
  readonly memory: SandboxMemory | null;
  /** null where it is not known. */
  readonly processes: SandboxProcessLimit | null;
  /** null where it has none, or cannot lose it alone. */
  readonly network: SandboxNetwork | null;
  /** Reads the meter, which a sandbox that has ended may not have any more. null = there is none, or it does not say. Never rejects. */
  readonly usage: (() => Promise<SandboxUsage | null>) | null;
  /**
   * Resolves once when the sandbox has ended, and so costs nothing and holds no GPU any more, with the reason; null when we
   * ended it ourselves. Not retryable: it would end
   * the same way again. Never rejects.
   */
  readonly ended: Promise<Failure | null>;
  /** Starts a command. @throws PluginError `sandbox_lost` */
  start(request: ExecRequest): Promise<SandboxProcess>;
  /** Reads at most `maxBytes` bytes of a file from `offset`. @throws FileError, PluginError `sandbox_lost` */
  readFile(path: string, range: { readonly offset: number; readonly maxBytes: number }): Promise<Uint8Array>;
  /** Writes a whole file and makes the folders above it. @throws FileError, PluginError `sandbox_lost` */
  writeFile(path: string, content: Uint8Array, options?: { readonly executable?: boolean }): Promise<void>;
  /**
   * Gives `use` the same files in a second sandbox, in which only commands of `use` run, while all processes of this one are
   * frozen: they can neither change the files nor interfere. Commands started here meanwhile wait until `use` is done.
   * null = the provider cannot do that; callers use a snapshot instead.
   */
  readonly view: (<T>(use: (files: Sandbox) => Promise<T>) => Promise<T>) | null;
  /**
   * Has its volumes show what others have committed to them since they were mounted. null = the provider has no volumes.
   * @throws PluginError `sandbox_lost`
   */
  readonly reloadVolumes: (() => Promise<VolumeReload>) | null;
  /** Replaces the tags of its spec: it is somebody else's from now on. @throws PluginError `sandbox_lost` */
  setTags(tags: SandboxSpec["tags"]): Promise<void>;
  /** Ends the sandbox as `SandboxProvider.terminate` does. From then on nothing can be done in it. Idempotent. */
  terminate(): Promise<void>;
}

/** `busy`: processes of the sandbox keep files or folders open on a volume, which then stays as it is. */
export type VolumeReload = { readonly kind: "reloaded" } | { readonly kind: "busy"; readonly why: string };
