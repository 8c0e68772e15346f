import type { Failure } from "../../shared/error-code.ts";
import type { LentPaths } from "../lent-paths.ts";
import type { SandboxNetwork, SandboxSignal } from "../port.ts";
import type { LentGpus } from "./gpus/driver-files.ts";
import type { SandboxDirs } from "./layout.ts";
import type { CopyResult } from "./tree-copy.ts";
import type { TreeSize } from "./tree-measure.ts";

/*
 * What separates a local sandbox from the host. The sandbox, its processes, files and snapshots are written once
 * against `IsolationBackend` and `Isolation`; bubblewrap, Seatbelt and "none" differ only behind these two.
 */

export type IsolationKind = "bubblewrap" | "seatbelt" | "none";

export interface ResourceLimits {
  /** Processes and threads. */
  readonly processes: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  /** Inodes. */
  readonly files: number;
}

export interface IsolationPlan {
  readonly id: string;
  readonly dirs: SandboxDirs;
  /** Where `dirs` still are while the isolation is opened; null = in their place. */
  readonly making: DirsInMaking | null;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly network: "open" | "blocked";
  readonly limits: ResourceLimits;
  /** What it is lent of this machine's GPUs; null = none. */
  readonly gpus: LentGpus | null;
  /** A second isolation, around the directories of a sandbox that is live. */
  readonly isView?: boolean;
}

/** The directories of a new sandbox, which take their own names once its isolation is open. */
export interface DirsInMaking {
  readonly dirs: SandboxDirs;
  /** Resolves when they have all their files. What needs none of them may be set up meanwhile. */
  readonly filled: Promise<unknown>;
}

export interface TreePair {
  readonly from: string;
  readonly to: string;
}

export interface CopyOptions {
  readonly below?: string;
  readonly isAtRest?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Operations on directory trees. A job that still runs may own the files, so every operation must withstand it. */
export interface TreeTools {
  /**
   * Copies the contents of each `from` into its `to`. Both are existing directories that no job can replace. Files that
   * vanish during the copy are no failure; what cannot be copied is named in the result.
   * @param options.below copy only this directory of each, by its relative path; `..` and links must not lead out of `from`
   * @param options.isAtRest no process of a job can write to them any more, and each `to` is empty and only ours
   */
  copy(pairs: readonly TreePair[], options?: CopyOptions): Promise<CopyResult>;
  /** Removes directories with all their contents, whatever their modes and depth, as far as they exist. */
  remove(paths: readonly string[]): Promise<void>;
  /** The sizes of directories, by one program; null = it could not be determined. @throws Error when none could be */
  measure(paths: readonly string[], signal?: AbortSignal): Promise<readonly (TreeSize | null)[]>;
}

/** Which of this machine's files may be lent to sandboxes besides the programs on PATH, and which never are. */
export interface LendingRules {
  readonly readOnlyPaths: readonly string[];
  /** OpenCode's own paths. Never lent, nor is any path that contains one of them or lies inside one. */
  readonly neverLent: readonly string[];
  /** The project that jobs work for. Not lent, because each job gets its own copy. */
  readonly project: string | null;
}

export interface IsolationBackend {
  readonly kind: IsolationKind;
  /** What its sandboxes can read of this machine; null where they can read too much to list. */
  readonly lent: (() => LentPaths) | null;
  readonly trees: TreeTools;
  /** @throws PluginError `isolation_unavailable`, `sandbox_create_failed`; and why they were not filled */
  open(plan: IsolationPlan): Promise<Isolation>;
}

/** A program to spawn on the host that ends up inside, and the script its last stage reads from descriptor 3. */
export interface Launch {
  readonly file: string;
  readonly args: readonly string[];
  /** Files that it gets opened for writing, from descriptor 4 on. */
  readonly opens: readonly string[];
  /** The whole environment of the host side. Never the job's variables: LD_PRELOAD would act before the isolation does. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly script: string;
  /** To be called once the command has started or has failed to start. */
  readonly settled: () => void;
}

export interface CommandPlan {
  readonly argv: readonly string[];
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly tty: boolean;
}

export interface ProcessGroup {
  isAlive(): boolean;
  kill(): void;
}

/** The isolation of one live sandbox. */
export interface Isolation {
  /** Paths as commands inside see them. */
  readonly workdir: string;
  readonly home: string;
  readonly tmp: string;
  readonly logs: string;
  readonly notes: readonly string[];
  readonly alive: () => boolean;
  /** Resolves once, when nothing runs inside any more; null when `close` was called without a reason. */
  readonly ended: Promise<Failure | null>;
  launch(command: CommandPlan): Launch;
  /**
   * Signals a command's process group, without help from any process inside.
   * @param spawned pid of the process spawned for the command's launch: a child of ours, not reaped yet
   * @param below signal only the command's children, for a terminal whose own program must survive
   */
  signal(spawned: number, signal: SandboxSignal, below: boolean): void;
  /** A command's process group, which may outlive the command; null when the command has ended. `spawned` as above. */
  group(spawned: number): ProcessGroup | null;
  /** Whether processes run inside whose parents have ended, as those of a command that has; false where nobody can tell. */
  hasOrphans(): boolean;
  /** To be called regularly while a command runs: keeps the spawned process able to report the command's end. */
  resumeWaiter(spawned: number): void;
  /** Kills what was spawned for a launch, whichever stage it has reached. */
  killLaunch(spawned: number): void;
  /** Processes killed so far because the sandbox's memory was full; null where memory is not limited. */
  readonly memoryKills: (() => number | null) | null;
  /** Processes and threads that the kernel has refused so far because the sandbox had as many as it may; null where it does not tell. */
  readonly processRefusals: (() => number | null) | null;
  /** null where it has none, or the host's own. */
  readonly network: SandboxNetwork | null;
  /** Stops all processes; the returned function resumes those that ran. A process that cannot be stopped keeps running. */
  freeze(): Promise<() => Promise<void>>;
  /** Size of the deleted files that its processes still have open. @throws Error when it cannot be determined */
  deletedOpenFiles(): Promise<TreeSize>;
  /** To be called about once a second while the sandbox is live. */
  maintain(): Promise<void>;
  /** Kills everything inside and resolves when it is gone. Idempotent. @throws PluginError when a process does not die */
  close(reason: Failure | null): Promise<void>;
}
