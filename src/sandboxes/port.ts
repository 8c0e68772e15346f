import type { Environment } from "../config/environment.ts";
import type { GpuRequest } from "../config/gpu.ts";
import type { Failure } from "../shared/error-code.ts";

/*
 * The port every sandbox provider fills. What each must do is required; what only some can do hangs behind one
 * nullable property. Failures of the world reject with `PluginError` (codes of the contract) or `FileError`; a command's
 * non-zero exit is a value. Every call ends in bounded time, whatever the processes of a sandbox do to each other: one
 * that needs their help gives up on it. Nothing here knows of jobs or of OpenCode.
 */

export type ProviderName = "local" | "modal";

/** Network a sandbox is given. Domains and CIDRs are those it may reach. */
export type NetworkPolicy =
  | "open"
  | "blocked"
  | { readonly domains: readonly string[]; readonly cidrs: readonly string[] };

export interface SandboxSpec {
  /** Unique among live sandboxes of one state directory or account; a job's id serves. */
  readonly name: string;
  /** Who it belongs to, for listing and sweeping. */
  readonly tags: Readonly<Record<string, string>>;
  /** A snapshot id to start from; null starts from the bare environment. */
  readonly snapshotID: string | null;
  /** Absolute path in the sandbox. */
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  /** null = the provider's default. */
  readonly memoryMiB: number | null;
  readonly network: NetworkPolicy;
  /** The machine it runs on; absent = the provider's own defaults throughout. A provider refuses what it cannot give. */
  readonly machine?: MachineSpec;
}

export interface MachineSpec {
  /** null = the provider's default. Ignored when the sandbox starts from a snapshot of a whole file system. */
  readonly image: Environment["image"];
  /** The one GPU request to grant or refuse with `no_capacity`; null = no GPU. Who has alternatives asks again. */
  readonly gpu: GpuRequest | null;
  /** Physical cores; null = the provider's default. */
  readonly cpu: number | null;
  readonly secrets: readonly string[];
  readonly volumes: Environment["volumes"];
  readonly buckets: Environment["buckets"];
  /** Ports of the sandbox that get a tunnel. */
  readonly ports: readonly number[];
  /** Empty = any. */
  readonly regions: readonly string[];
  /** After so long the provider itself ends the sandbox, whatever has become of us; null = its default. */
  readonly lifetimeMs: number | null;
  /** After so long without activity the provider itself ends the sandbox; null = its default. */
  readonly idleTimeoutMs: number | null;
}

/** The GPUs a sandbox has. */
export interface SandboxGpu {
  /** What was asked for and granted: the preference that had capacity. null when a former process asked. */
  readonly granted: GpuRequest | null;
  /** The devices by their own account, e.g. "NVIDIA H100 80GB HBM3"; empty when they could not be read. */
  readonly devices: readonly string[];
}

/** A port of a sandbox that can be reached from outside. */
export interface SandboxPort {
  readonly port: number;
  readonly url: string;
}

/** A sandbox as a listing shows it. */
export interface ListedSandbox {
  readonly id: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Epoch ms; null when the provider does not say. */
  readonly createdAt: number | null;
}

export interface SandboxProvider {
  readonly name: ProviderName;
  /**
   * Creates a sandbox; may take minutes. When `signal` aborts, rejects promptly and a sandbox that arrives late is ended.
   * @throws PluginError `sandbox_create_failed`, `sandbox_create_timeout`, `no_capacity`, `isolation_unavailable`,
   * `snapshot_expired`, `not_found` (unknown snapshot)
   */
  create(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox>;
  /**
   * Finds a sandbox by id, also one made by a former process: its files are as they were, its processes may be gone.
   * @param env the variables of its spec, given anew: they are never written to disk
   * @throws PluginError `sandbox_lost`: not retryable when it no longer exists, retryable when nobody could tell
   */
  attach(sandboxID: string, env: Readonly<Record<string, string>>): Promise<Sandbox>;
  /** Ends a sandbox by id, attached or not, and forgets its files. Idempotent: an unknown id is no error. */
  terminate(sandboxID: string): Promise<void>;
  /** Ids and tags of the sandboxes that exist, for the sweeper. */
  list(): Promise<readonly ListedSandbox[]>;
  /** The only channel for "can it freeze file systems?". */
  readonly snapshots: SnapshotStore | null;
  /** What of this machine's files its sandboxes can read, besides the job's own; null where they run elsewhere. */
  readonly lent: (() => Promise<LentPaths>) | null;
  /** Lets go of what this process holds. Sandboxes that can outlive the process do; their files always do. */
  close(): Promise<void>;
}

export interface LentPaths {
  readonly lent: readonly LentPath[];
  /** On PATH, or asked for, and held back. */
  readonly refused: readonly LentPath[];
}

/** A path of this machine that sandboxes can read, or cannot. */
export interface LentPath {
  readonly path: string;
  /** In a few words: "program on PATH", "it holds the home directory". */
  readonly why: string;
}

export interface TakenSnapshot {
  readonly id: string;
  /** null when the provider does not say. */
  readonly sizeBytes: number | null;
  /** Inodes it takes; null when the provider does not say. */
  readonly files: number | null;
  /** What could not be kept, one sentence each. */
  readonly leftOut: readonly string[];
  /** Epoch ms at which the provider forgets it; null = it keeps it. */
  readonly expiresAt: number | null;
}

/** What snapshots take of a disk together. */
export interface SnapshotCharge {
  readonly count: number;
  readonly bytes: number;
  /** Inodes. */
  readonly files: number;
}

export interface SnapshotStore {
  /**
   * Freezes the files of a live sandbox; processes and memory are not kept. What cannot be kept is named, the rest is.
   * @param path only this directory of it; null = the whole file system
   * @param charged what the job's snapshots take already: where the disk is the user's own, they have a limit together.
   * null = this one is not the job's wish, and is taken while there is room
   * @throws PluginError `snapshot_failed`, `sandbox_lost`
   */
  take(sandbox: Sandbox, path: string | null, charged?: SnapshotCharge | null): Promise<TakenSnapshot>;
  /** Idempotent. */
  remove(snapshotID: string): Promise<void>;
  /**
   * Those taken by processes that have ended since, with the epoch ms of their taking, for the sweeper: one may have
   * ended before it recorded what it took. Empty where the provider forgets snapshots by itself.
   */
  leftBehind(): Promise<readonly { readonly id: string; readonly createdAt: number }[]>;
}

export interface Sandbox {
  readonly id: string;
  /** Absolute path, inside the sandbox, of the directory commands start in. */
  readonly workdir: string;
  /** Absolute path, inside the sandbox, of the agent's home directory. */
  readonly home: string;
  /** What the job should know of this machine, one sentence each: "No network: neither pasta nor slirp4netns is installed." */
  readonly notes: readonly string[];
  /** null = none. */
  readonly gpu: SandboxGpu | null;
  readonly ports: readonly SandboxPort[];
  /** Resolves, once, when the sandbox is no more, with the reason; `null` when we ended it ourselves. Never rejects. */
  readonly ended: Promise<Failure | null>;
  /** Starts a command. @throws PluginError `sandbox_lost` */
  start(request: ExecRequest): Promise<SandboxProcess>;
  /** Bytes of a file, at most `maxBytes` from `offset`. @throws FileError, PluginError `sandbox_lost` */
  readFile(path: string, range: { readonly offset: number; readonly maxBytes: number }): Promise<Uint8Array>;
  /** Writes a whole file, making its folders. @throws FileError, PluginError `sandbox_lost` */
  writeFile(path: string, content: Uint8Array, options?: { readonly executable?: boolean }): Promise<void>;
  /**
   * Lets `use` have the same files in a sandbox of its own, in which nothing runs but what `use` starts, while all that
   * runs in this one stands still: its processes can neither change the files nor be in anyone's way. null = the
   * provider cannot do that; a snapshot stands in. Commands started here meanwhile wait for the end of `use`.
   */
  readonly view: (<T>(use: (files: Sandbox) => Promise<T>) => Promise<T>) | null;
  /** Idempotent. Kills every process and forgets the files. */
  terminate(): Promise<void>;
}

export interface ExecRequest {
  /** Program and arguments; no shell in between. */
  readonly argv: readonly string[];
  /** Absolute, or relative to the sandbox's workdir; defaults to it. */
  readonly workdir?: string;
  /** Added to the sandbox's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Gives the command a terminal; stdout and stderr are one then. */
  readonly tty?: boolean;
  /** Keeps the complete output in a file of the sandbox, named by `logPath`. */
  readonly keepLog?: boolean;
}

export interface OutputChunk {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

/** How a command ended. `unknown`: its status could not be learnt, for the reason given; never rounded to a code. */
export type ExitStatus =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "signalled"; readonly signal: string }
  | { readonly kind: "unknown"; readonly reason: string };

export type SandboxSignal =
  | "SIGINT"
  | "SIGTERM"
  | "SIGKILL"
  | "SIGHUP"
  | "SIGUSR1"
  | "SIGUSR2"
  | "SIGQUIT"
  | "SIGSTOP"
  | "SIGCONT";

export interface SandboxProcess {
  /** Names the process within its sandbox, e.g. its pid there. */
  readonly id: string;
  /** Where in the sandbox the complete output is kept; null unless asked for. */
  readonly logPath: string | null;
  /**
   * Output in order of arrival, read once. Ends when the command has ended and its pipes are drained; a child left
   * behind that holds the pipes open does not keep it open.
   */
  readonly output: AsyncIterable<OutputChunk>;
  /** Never rejects. */
  readonly exit: Promise<ExitStatus>;
  /** Writes to standard input. Rejects when the command has closed it. */
  write(input: Uint8Array): Promise<void>;
  closeInput(): Promise<void>;
  /** Signals the whole process group. A process that has ended is no error. */
  signal(signal: SandboxSignal): Promise<void>;
}

export type FileErrorCode = "file_not_found" | "is_directory" | "permission_denied" | "file_failed";

/** A file operation refused by the sandbox's own file system: something for the model to read and act on. */
export class FileError extends Error {
  override readonly name = "FileError";
  readonly code: FileErrorCode;

  constructor(code: FileErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
