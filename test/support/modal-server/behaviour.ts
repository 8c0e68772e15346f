import type { ModalServerOptions } from "./options.ts";

/*
 * How far the server behaves like Modal's own service. Without a profile everything is there at once, so that a test of
 * something else is quick. The profile "realistic" has the times, limits and inconveniences of the service; each can be set
 * alone too. Times are seconds of the service; `latencySecondMs` says how long a second of them takes here.
 */

export interface Behaviour {
  /** Real milliseconds per second of the times below. Default: `secondMs`. */
  readonly latencySecondMs: number;
  /** Time that every call takes. */
  readonly callSecs: number;
  /** Time that starting a command takes, instead of `callSecs`. */
  readonly execStartSecs: number;
  /** Shortest and longest time from a machine to the first command; most are short. */
  readonly bootSecs: readonly [number, number];
  /** Shortest and longest time from a termination to the end. Until then the name is held and the sandbox counts as live. */
  readonly terminateSecs: readonly [number, number];
  /** Creations allowed per real second in the workspace, and at once after a pause. More are refused. */
  readonly createsPerSecond: number;
  readonly createsBurst: number;
  /** What an expired image does: "refuse" = it cannot be found; "fail" = creation succeeds, and the first command fails. */
  readonly expired: "refuse" | "fail";
  /**
   * Names that `nvidia-smi` prints in place of a type's own: `{ "H100": ["NVIDIA H200"] }`. One stands for every GPU, several
   * are all there is, and with none the sandbox has no `nvidia-smi`.
   */
  readonly devices: Readonly<Record<string, readonly string[]>>;
  /** Whether a sandbox that waits for a machine is in listings, and found by name. Unknown of the real service. */
  readonly queuedListed: boolean;
  readonly queuedNamed: boolean;
  /** Time from a sandbox's end to its exit snapshot. */
  readonly exitSnapshotSecs: number;
  /** Whether sandboxes without a GPU have exit snapshots; otherwise asking for one fails. Modal's documents say no. */
  readonly exitSnapshotsOfV2: boolean;
  /** What images of a registry run by themselves, by tag; "*" = all others. */
  readonly registry: Readonly<
    Record<string, { readonly entrypoint?: readonly string[]; readonly cmd?: readonly string[] }>
  >;
  /**
   * Whether a sandbox sees a volume as it was when it was mounted or last reloaded, and others see its writes once they are
   * committed: by its end, and by `sync` where the volume is of version 2. Otherwise all share one directory.
   */
  readonly volumeCommits: boolean;
  /** Shortest and longest time of a build, which prints what it does; most are short. */
  readonly buildSecs: readonly [number, number];
  /** Whether a build that fails does not say why; its log does. */
  readonly silentBuilds: boolean;
  /** The code of a refusal because the workspace's money is spent. */
  readonly spendLimitCode: "FAILED_PRECONDITION" | "RESOURCE_EXHAUSTED";
}

const PLAIN: Omit<Behaviour, "latencySecondMs"> = {
  callSecs: 0,
  execStartSecs: 0,
  bootSecs: [0, 0],
  terminateSecs: [0, 0],
  createsPerSecond: Number.POSITIVE_INFINITY,
  createsBurst: Number.POSITIVE_INFINITY,
  expired: "refuse",
  devices: {},
  queuedListed: true,
  queuedNamed: true,
  exitSnapshotSecs: 0,
  exitSnapshotsOfV2: true,
  registry: {},
  volumeCommits: false,
  buildSecs: [0, 0],
  silentBuilds: false,
  spendLimitCode: "FAILED_PRECONDITION",
};

/** @source facts of Modal's documents, of its SDK's own tests, and of its users' reports */
const REALISTIC: typeof PLAIN = {
  ...PLAIN,
  callSecs: 0.035,
  execStartSecs: 0.14,
  bootSecs: [2, 60],
  terminateSecs: [1, 20],
  createsPerSecond: 5,
  createsBurst: 150,
  expired: "fail",
  devices: { H100: ["NVIDIA H200"] },
  exitSnapshotSecs: 5,
  exitSnapshotsOfV2: false,
  // An interpreter on an input that never ends, as such images run without a terminal.
  registry: { "python:3.12-bookworm": { cmd: ["python3"] }, "*": { cmd: ["bash"] } },
  volumeCommits: true,
  buildSecs: [5, 120],
  silentBuilds: true,
};

export function behaviourOf(options: ModalServerOptions): Behaviour {
  const base = options.profile === "realistic" ? REALISTIC : PLAIN;
  const own = Object.fromEntries(
    Object.keys(PLAIN).flatMap((key) => {
      const value = (options as Record<string, unknown>)[key];
      return value === undefined ? [] : [[key, value]];
    }),
  );
  return { ...base, ...own, latencySecondMs: options.latencySecondMs ?? options.secondMs ?? 1000 };
}
