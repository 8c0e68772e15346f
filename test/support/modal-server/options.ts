export interface ModalServerOptions {
  /** Credentials it accepts. */
  readonly tokenId?: string;
  readonly tokenSecret?: string;
  /** Named secrets: values by name. */
  readonly secrets?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Apps that exist already. */
  readonly apps?: readonly string[];
  /** Running sandboxes it allows; more are refused with RESOURCE_EXHAUSTED. Default none. */
  readonly workspaceLimit?: number;
  /** GPUs there are by type; a sandbox that finds too few stays unscheduled. Types left out have no end. */
  readonly gpus?: Readonly<Record<string, number>>;
  /** How long a V1 sandbox waits before it is scheduled at all. Default 0. */
  readonly schedulingMs?: number;
  /** How long one second of lifetimes, idle times and expiry lasts here. Default 1000. */
  readonly secondMs?: number;
  /** Sandboxes in one page of a listing. Default 100. */
  readonly pageSize?: number;
  /** Largest message of an output stream; 1 cuts every character. Default 256 KiB. */
  readonly outputChunkBytes?: number;
  /** Default 2 GiB for each stream of a command. */
  readonly maxOutputBytes?: number;
  /** Seconds a router token is good for. Default an hour. */
  readonly routerTokenSecs?: number;
  /** Snapshots are refused until a command has run in the sandbox, as reported of the real service. Default true. */
  readonly snapshotNeedsExec?: boolean;
  /**
   * Sandboxes are laid over their image instead of being copies of it: as quick as in the real service, however large.
   * For root on Linux, in a process of its own (`canOverlay`); what is in a sandbox is not to be seen from outside then.
   */
  readonly overlay?: boolean;
  /** Where its files go; default a new folder in the system's temporary one. */
  readonly folder?: string;
}

/** Kinds of GPU and how many of each one container may have. */
export const GPUS: Readonly<Record<string, number>> = {
  T4: 8, L4: 8, A10: 4, A10G: 4, L40S: 8, A100: 8, "A100-40GB": 8, "A100-80GB": 8, "RTX-PRO-6000": 8,
  H100: 8, "H100!": 8, H200: 8, B200: 8, "B200+": 8,
}; // biome-ignore format: a table
