import type { Failure } from "../../shared/error-code.ts";
import type { LentPaths, SandboxSignal } from "../port.ts";
import type { SandboxDirs } from "./layout.ts";
import type { CopyResult } from "./tree-copy.ts";
import type { TreeSize } from "./tree-measure.ts";

/*
 * What separates a local sandbox from the host. The sandbox, its processes, files and snapshots are written once
 * against these two interfaces; bubblewrap, Seatbelt and "none" differ only behind them.
 */

export type IsolationKind = "bubblewrap" | "seatbelt" | "none";

export interface ResourceLimits {
  readonly processes: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  /** Inodes. */
  readonly files: number;
}

export interface EnclosurePlan {
  readonly id: string;
  readonly dirs: SandboxDirs;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly network: "open" | "blocked";
  readonly limits: ResourceLimits;
  /** These are second walls, around the directories of a sandbox that stands. */
  readonly isView?: boolean;
}

/** Files may be owned by a job that is still running: every operation must hold against it. */
export interface TreeTools {
  /**
   * Copies the contents of each `from` into its `to`; both are directories that exist and that no job can replace. Files
   * that vanish meanwhile are no failure, and what cannot be copied is named.
   * @param below only this directory of each, by its relative path; `..` and links must not lead out of `from`
   */
  copy(
    pairs: readonly { readonly from: string; readonly to: string }[],
    options?: { readonly below?: string; readonly signal?: AbortSignal },
  ): Promise<CopyResult>;
  /** Removes a directory and all in it, whatever its modes and depth. No-op if it does not exist. */
  remove(path: string): Promise<void>;
  /** @throws Error when it could not be measured */
  measure(path: string, signal?: AbortSignal): Promise<TreeSize>;
}

/** What may be lent to sandboxes of this machine's files, besides the programs on PATH, and what may not. */
export interface LendingRules {
  readonly readOnlyPaths: readonly string[];
  /** Never lent, nor what holds it or lies in it: OpenCode's own. */
  readonly kept: readonly string[];
  /** The project that jobs work for: they have it as it was sent. */
  readonly project: string | null;
}

export interface Isolation {
  readonly kind: IsolationKind;
  /** What its sandboxes can read of this machine; null where that is not a list: too much of it. */
  readonly lent: (() => LentPaths) | null;
  readonly trees: TreeTools;
  /** @throws PluginError `isolation_unavailable`, `sandbox_create_failed` */
  open(plan: EnclosurePlan): Promise<Enclosure>;
}

/** A program to spawn on the host that ends up inside, and the script its last stage reads from descriptor 3. */
export interface Launch {
  readonly file: string;
  readonly args: readonly string[];
  /** The whole environment of the host side of the launch. Never the job's: LD_PRELOAD would act before the wall. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly script: string;
  /** To be called once the command has started or has failed to. */
  readonly settled: () => void;
}

export interface CommandPlan {
  readonly argv: readonly string[];
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly tty: boolean;
}

/** The running walls of one sandbox. */
export interface Enclosure {
  /** Paths as commands inside see them. */
  readonly workdir: string;
  readonly home: string;
  readonly tmp: string;
  readonly logs: string;
  readonly notes: readonly string[];
  readonly alive: () => boolean;
  /** Resolves once, when nothing runs inside any more; null when `close` was the reason. */
  readonly ended: Promise<Failure | null>;
  launch(command: CommandPlan): Launch;
  /**
   * Signals a command's process group, without anybody's help inside.
   * @param spawned pid of what was spawned for its launch, our child and not reaped yet
   * @param below only what runs below the command: a terminal's own program is to live
   */
  signal(spawned: number, signal: SandboxSignal, below: boolean): void;
  /** Called now and then while a command runs: what was spawned for it is to hear of its end whatever the job does. */
  follow(spawned: number): void;
  /** Kills what was spawned for a launch, however far it has come. */
  abandon(spawned: number): void;
  /** Stops all processes; the returned function lets those that ran go on. One that cannot be stopped is left. */
  still(): Promise<() => Promise<void>>;
  /** What its processes have open of files that were deleted. @throws Error when it cannot be told */
  held(): Promise<TreeSize>;
  /** Called about once a second while the sandbox lives. */
  tend(): Promise<void>;
  /** Kills everything inside and resolves when it is gone. Idempotent. @throws PluginError when something does not die */
  close(reason: Failure | null): Promise<void>;
}
